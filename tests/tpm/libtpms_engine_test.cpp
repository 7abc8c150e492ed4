#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "protocol/tpmif.hpp"
#include "tests/tpm/engine_commands.hpp"
#include "tests/tpm/engine_fixture.hpp"

using namespace vtpm;
using namespace vtpm::tests;
using tpm::errc;
using tpm::manufacture_libtpms;
using tpm::power_on_libtpms;
using tpm::secret_bytes;
using tpm::snapshot;
using tpm::startup;

namespace {

/// Collects what a piece of code writes to standard output and error.
template <class F>
std::string output_of(F&& action) {
  char path[] = "/tmp/vtpm-output-XXXXXX";
  const auto file = ::mkstemp(path);
  REQUIRE(file >= 0);
  ::unlink(path);
  const auto out = ::dup(1);
  const auto err = ::dup(2);
  ::dup2(file, 1);
  ::dup2(file, 2);
  action();
  ::dup2(out, 1);
  ::dup2(err, 2);
  auto text = std::string(4096, '\0');
  const auto size = ::pread(file, text.data(), text.size(), 0);
  text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  for (const auto descriptor : {file, out, err})
    ::close(descriptor);
  return text;
}

} // namespace

TEST_SUITE("tpm/libtpms_engine") {
  TEST_CASE("a process has one TPM at a time") {
    const auto state = factory_state(tpm_version::v2_0);
    {
      auto first = powered_tpm{tpm_version::v2_0};
      const auto second
        = power_on_libtpms(tpm_version::v2_0, state, startup::clear);
      REQUIRE(!second);
      CHECK(second.error().code == errc::engine);
      CHECK(!manufacture_libtpms(tpm_version::v1_2, {}));
      CHECK(first.run(get_random_2_0) == 0);
    }
    CHECK(power_on_libtpms(tpm_version::v2_0, state, startup::clear));
  }

  TEST_CASE("a state that is none is refused, in silence") {
    for (const auto version : {tpm_version::v1_2, tpm_version::v2_0}) {
      const auto good = factory_state(version);
      const auto other = factory_state(
        version == tpm_version::v1_2 ? tpm_version::v2_0 : tpm_version::v1_2);
      auto cut = good->permanent;
      cut.pop_back();
      const auto bad = std::vector<secret_bytes>{
        {}, secret_bytes(2000, 0xA5), other->permanent, cut};
      for (const auto& permanent : bad) {
        CAPTURE(to_string(version));
        CAPTURE(permanent.size());
        const auto state
          = std::make_shared<const snapshot>(snapshot{permanent, {}});
        auto refusal = std::optional<tpm::error>{};
        const auto output = output_of([&] {
          const auto on = power_on_libtpms(version, state, startup::clear);
          if (!on)
            refusal = on.error();
        });
        REQUIRE(refusal);
        CHECK(refusal->code == errc::engine);
        CHECK(!refusal->detail.empty());
        CHECK(output == "");
        CHECK(power_on_libtpms(version, good, startup::none));
      }
    }
  }

  TEST_CASE("a TPM 2.0's state is refused at every length but its own") {
    const auto good = factory_state(tpm_version::v2_0);
    for (auto size = std::size_t{0}; size < good->permanent.size(); ++size) {
      CAPTURE(size);
      auto cut = snapshot{};
      cut.permanent.assign(good->permanent.begin(),
                           good->permanent.begin()
                             + static_cast<std::ptrdiff_t>(size));
      CHECK(!power_on_libtpms(tpm_version::v2_0,
                              std::make_shared<const snapshot>(std::move(cut)),
                              startup::none));
    }
  }

  TEST_CASE("startup is vtpmd's or the guest's, as asked") {
    SUBCASE("1.2") {
      auto tpm = powered_tpm{tpm_version::v1_2, startup::none};
      CHECK(tpm.run(get_random_1_2) != 0);
      CHECK(tpm.run(startup_1_2) == 0);
      CHECK(tpm.run(get_random_1_2) == 0);
      CHECK(tpm.run(startup_1_2) != 0);
    }
    SUBCASE("1.2 deactivated") {
      constexpr auto deactivated = 6u;
      auto tpm = powered_tpm{tpm_version::v1_2, startup::deactivated};
      CHECK(tpm.run(get_flags) == 0);
      CHECK(tpm.run(get_random_1_2) == deactivated);
    }
    SUBCASE("2.0") {
      auto tpm = powered_tpm{tpm_version::v2_0, startup::none};
      CHECK(tpm.run(get_random_2_0) == rc_initialize);
      CHECK(tpm.run(startup_2_0) == 0);
      CHECK(tpm.run(get_random_2_0) == 0);
      CHECK(tpm.run(startup_2_0) == rc_initialize);
    }
    SUBCASE("2.0 deactivated does not exist") {
      const auto on
        = power_on_libtpms(tpm_version::v2_0, factory_state(tpm_version::v2_0),
                           startup::deactivated);
      REQUIRE(!on);
      CHECK(on.error().code == errc::unusable);
      auto tpm = powered_tpm{tpm_version::v2_0};
      const auto reset = tpm->reset(startup::deactivated);
      REQUIRE(!reset);
      CHECK(reset.error().code == errc::unusable);
      CHECK(tpm.run(get_random_2_0) == 0);
    }
  }

  TEST_CASE("no response is larger than a page has room for") {
    constexpr auto limit = protocol::packet_size_max;
    SUBCASE("1.2") {
      auto tpm = powered_tpm{tpm_version::v1_2};
      CHECK(tpm.run(tpm12("00000046 00001000")) == 0);
      CHECK(tpm.response.size() == limit);
    }
    SUBCASE("2.0, which says so itself") {
      auto tpm = powered_tpm{tpm_version::v2_0};
      // TPM2_PT_MAX_COMMAND_SIZE and TPM2_PT_MAX_RESPONSE_SIZE.
      REQUIRE(tpm.run(tpm20("0000017a 00000006 0000011e 00000002")) == 0);
      CHECK(body_of(tpm.response)
            == "01"
               "00000006"
               "00000002"
               "0000011e"
              + hex_of(limit) + "0000011f" + hex_of(limit));
      CHECK(tpm.run(tpm20("0000017b ffff")) == 0);
      CHECK(tpm.response.size() <= limit);
    }
  }

  TEST_CASE("the largest request is answered") {
    auto rest = std::string{"0000017b"};
    rest.append(2 * (protocol::packet_size_max - 10), '0');
    auto tpm = powered_tpm{tpm_version::v2_0};
    CHECK(tpm.run(tpm20(rest)) != 0);
    CHECK(tpm.run(get_random_2_0) == 0);
  }

  TEST_CASE("a TPM 1.2 reports the commands that changed its state") {
    auto tpm = present_tpm();
    CHECK(tpm.run(get_random_1_2) == 0);
    CHECK(tpm.changed == nullptr);
    CHECK(tpm.run(extend_1_2) == 0);
    CHECK(tpm.changed == nullptr);

    const auto before = tpm->current();
    CHECK(tpm.run(define_nv_1_2) == 0);
    REQUIRE(tpm.changed != nullptr);
    CHECK(tpm.changed == tpm->current());
    CHECK(tpm.changed != before);
    CHECK(tpm.run(write_nv_1_2) == 0);
    CHECK(tpm.changed != nullptr);
    CHECK(tpm.run(write_nv_1_2) == 0);
    CHECK_MESSAGE(tpm.changed == nullptr, "the same octets again");
    CHECK(tpm.run(read_nv_1_2) == 0);
    CHECK(tpm.changed == nullptr);

    CHECK(tpm.run(save_state) == 0);
    REQUIRE(tpm.changed != nullptr);
    CHECK(!tpm.changed->savestate.empty());
    CHECK(tpm.run(read_pcr_1_2) == 0);
    REQUIRE_MESSAGE(tpm.changed != nullptr, "the next command deletes it");
    CHECK(tpm.changed->savestate.empty());
    CHECK(tpm.run(read_pcr_1_2) == 0);
    CHECK(tpm.changed == nullptr);
  }

  TEST_CASE("a TPM 2.0 reports the commands that changed its state") {
    auto tpm = powered_tpm{tpm_version::v2_0};
    CHECK_MESSAGE(tpm.changed != nullptr, "Startup");
    CHECK(tpm.run(get_random_2_0) == 0);
    CHECK(tpm.changed == nullptr);
    CHECK(tpm.run(extend_2_0) == 0);
    CHECK(tpm.changed == nullptr);

    const auto before = tpm->current();
    CHECK(tpm.run(define_nv_2_0) == 0);
    REQUIRE(tpm.changed != nullptr);
    CHECK(tpm.changed == tpm->current());
    CHECK(tpm.changed != before);
    CHECK(run_twice_if_asked(tpm, write_nv_2_0) == 0);
    CHECK(tpm.changed != nullptr);
    CHECK(tpm.run(read_nv_2_0) == 0);
    CHECK(tpm.changed == nullptr);

    const auto wrong
      = tpm20_auth("0000014e 01000001 01000001", "0008 0000", "bb");
    CHECK(tpm.run(wrong) != 0);
    CHECK_MESSAGE(tpm.changed != nullptr, "a failed authorization counts");

    CHECK(tpm.run(shutdown_clear) == 0);
    CHECK(tpm.changed != nullptr);
    CHECK(tpm.run(extend_2_0) == 0);
    CHECK_MESSAGE(tpm.changed != nullptr, "the first extend after a Shutdown");
    CHECK(tpm.run(extend_2_0) == 0);
    CHECK(tpm.changed == nullptr);
  }

  TEST_CASE("permanent state survives the engine, volatile state does not") {
    SUBCASE("1.2") {
      auto tpm = present_tpm();
      CHECK(tpm.run(define_nv_1_2) == 0);
      CHECK(tpm.run(write_nv_1_2) == 0);
      CHECK(tpm.run(extend_1_2) == 0);
      tpm.crash();
      CHECK(tpm.run(read_nv_1_2) == 0);
      CHECK(body_of(tpm.response)
            == "00000008"
               "1122334455667788");
      CHECK(tpm.run(read_pcr_1_2) == 0);
      CHECK(body_of(tpm.response) == std::string(40, '0'));
    }
    SUBCASE("2.0") {
      auto tpm = powered_tpm{tpm_version::v2_0};
      CHECK(tpm.run(define_nv_2_0) == 0);
      CHECK(run_twice_if_asked(tpm, write_nv_2_0) == 0);
      CHECK(tpm.run(extend_2_0) == 0);
      tpm.crash();
      CHECK(run_twice_if_asked(tpm, read_nv_2_0) == 0);
      CHECK(body_of(tpm.response).find("1122334455667788")
            != std::string::npos);
      CHECK(tpm.run(read_pcr_2_0) == 0);
      CHECK(body_of(tpm.response).ends_with("0014" + std::string(40, '0')));
    }
  }

  TEST_CASE("the volatile state can be read while the TPM runs") {
    for (const auto version : {tpm_version::v1_2, tpm_version::v2_0}) {
      auto tpm = powered_tpm{version};
      const auto before = tpm->volatile_state();
      REQUIRE(before);
      CHECK(before->size() > 1000);
      tpm.run(version == tpm_version::v1_2 ? extend_1_2 : extend_2_0);
      const auto after = tpm->volatile_state();
      REQUIRE(after);
      CHECK(*before != *after);
    }
  }

  TEST_CASE("the presence pin is the operator's") {
    constexpr auto bad_presence = 0x2Du;
    {
      auto tpm = powered_tpm{tpm_version::v1_2};
      CHECK(tpm.run(physical_disable) == bad_presence);
    }
    auto tpm = present_tpm();
    CHECK(tpm.run(physical_disable) == 0);
  }
}
