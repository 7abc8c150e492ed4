#include <memory>
#include <string>
#include <utility>

#include "tests/tpm/engine_commands.hpp"
#include "tests/tpm/engine_fixture.hpp"

using namespace vtpm;
using namespace vtpm::tests;
using tpm::snapshot;
using tpm::startup;

namespace {

const auto zero_pcr = std::string(40, '0');

} // namespace

TEST_SUITE("tpm/libtpms_reset") {
  TEST_CASE("a saved state is used once, and does without when there is none") {
    SUBCASE("1.2") {
      auto tpm = powered_tpm{tpm_version::v1_2, startup::state};
      CHECK(tpm.run(extend_1_2) == 0);
      CHECK(tpm.run(read_pcr_1_2) == 0);
      const auto extended = tpm.response;
      CHECK(tpm.run(save_state) == 0);

      const auto resumed = tpm->reset(startup::state);
      REQUIRE(resumed);
      CHECK(*resumed != nullptr);
      CHECK(tpm->current()->savestate.empty());
      CHECK(tpm.run(read_pcr_1_2) == 0);
      CHECK(tpm.response == extended);

      REQUIRE(tpm->reset(startup::state));
      CHECK(tpm.run(read_pcr_1_2) == 0);
      CHECK(body_of(tpm.response) == zero_pcr);
    }
    SUBCASE("2.0") {
      auto tpm = powered_tpm{tpm_version::v2_0, startup::state};
      CHECK(tpm.run(extend_2_0) == 0);
      CHECK(tpm.run(read_pcr_2_0) == 0);
      const auto extended = body_of(tpm.response).substr(8);
      CHECK(tpm.run(shutdown_state) == 0);

      REQUIRE(tpm->reset(startup::state));
      CHECK(tpm.run(read_pcr_2_0) == 0);
      CHECK(body_of(tpm.response).substr(8) == extended);

      REQUIRE(tpm->reset(startup::state));
      CHECK(tpm.run(read_pcr_2_0) == 0);
      CHECK(body_of(tpm.response).ends_with("0014" + zero_pcr));
    }
  }

  TEST_CASE("a TPM 1.2 whose saved state is damaged starts afresh") {
    auto tpm = powered_tpm{tpm_version::v1_2};
    CHECK(tpm.run(extend_1_2) == 0);
    CHECK(tpm.run(save_state) == 0);
    auto damaged = *tpm->current();
    damaged.savestate[damaged.savestate.size() / 2] ^= 1;
    tpm = powered_tpm{};
    tpm = powered_tpm{tpm_version::v1_2,
                      std::make_shared<const snapshot>(std::move(damaged)),
                      startup::state};
    CHECK(tpm->current()->savestate.empty());
    CHECK(tpm.run(read_pcr_1_2) == 0);
    CHECK(body_of(tpm.response) == zero_pcr);
  }

  TEST_CASE("a reset clears the PCRs and keeps the NV") {
    SUBCASE("1.2") {
      auto tpm = present_tpm();
      CHECK(tpm.run(define_nv_1_2) == 0);
      CHECK(tpm.run(extend_1_2) == 0);
      REQUIRE(tpm->reset(startup::clear));
      CHECK(tpm.run(read_pcr_1_2) == 0);
      CHECK(body_of(tpm.response) == zero_pcr);
      CHECK(tpm.run(write_nv_1_2) == 0);
    }
    SUBCASE("2.0") {
      auto tpm = powered_tpm{tpm_version::v2_0};
      CHECK(tpm.run(define_nv_2_0) == 0);
      CHECK(tpm.run(extend_2_0) == 0);
      const auto done = tpm->reset(startup::clear);
      REQUIRE(done);
      CHECK(*done == tpm->current());
      CHECK(tpm.run(read_pcr_2_0) == 0);
      CHECK(body_of(tpm.response).ends_with("0014" + zero_pcr));
      CHECK(run_twice_if_asked(tpm, write_nv_2_0) == 0);
    }
  }

  TEST_CASE("a planned exit shuts a TPM 2.0 down once") {
    auto tpm = powered_tpm{tpm_version::v2_0};
    const auto first = tpm->prepare_exit();
    REQUIRE(first);
    CHECK(*first != nullptr);
    const auto second = tpm->prepare_exit();
    REQUIRE(second);
    CHECK(*second == nullptr);

    CHECK(tpm.run(shutdown_state) == 0);
    const auto guests = tpm->prepare_exit();
    REQUIRE(guests);
    CHECK_MESSAGE(*guests == nullptr, "the guest has done it");
    CHECK(tpm.run(get_random_2_0) == 0);
    const auto again = tpm->prepare_exit();
    REQUIRE(again);
    CHECK_MESSAGE(*again != nullptr, "but then used the TPM again");
  }

  TEST_CASE("resets do not lock a protected object out") {
    auto tpm = powered_tpm{tpm_version::v2_0};
    CHECK(tpm.run(define_nv_2_0) == 0);
    CHECK(run_twice_if_asked(tpm, write_nv_2_0) == 0);
    for (auto round = 0; round < 20; ++round) {
      CAPTURE(round);
      REQUIRE(tpm->reset(startup::clear));
      CHECK(run_twice_if_asked(tpm, read_nv_2_0) == 0);
    }
  }

  TEST_CASE("power cuts do, as the specification asks") {
    auto tpm = powered_tpm{tpm_version::v2_0};
    CHECK(tpm.run(define_nv_2_0) == 0);
    auto code = run_twice_if_asked(tpm, write_nv_2_0);
    CHECK(code == 0);
    auto rounds = 0;
    for (; rounds < 20 && code == 0; ++rounds) {
      tpm.crash();
      code = run_twice_if_asked(tpm, read_nv_2_0);
    }
    CHECK(code == rc_lockout);
    CHECK(rounds < 20);
  }
}
