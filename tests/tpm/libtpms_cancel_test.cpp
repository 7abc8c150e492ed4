// Goal: a cancel ends the command that runs, and never another one.
// Method: a second thread keeps a key generation busy while this one cancels
// until the command has ended. Key generation may be quicker than any cancel,
// so it is tried a bounded number of times.

#include <atomic>
#include <thread>

#include "tests/tpm/engine_commands.hpp"
#include "tests/tpm/engine_fixture.hpp"

using namespace vtpm;
using namespace vtpm::tests;

namespace {

constexpr auto rc_canceled = 0x909u;

/// TPM2_CreatePrimary in the owner hierarchy: an ECC P-256 storage key without
/// dictionary-attack protection. It gets the first transient handle, 80000000.
const auto create_parent = tpm20_auth("00000131 40000001",
                                      "0004 0000 0000"
                                      "001a 0023 000b 00030472 0000"
                                      "0006 0080 0043 0010 0003 0010 0000 0000"
                                      "0000 00000000");

/// TPM2_Create below it: an RSA-2048 signing key.
const auto create_rsa = tpm20_auth("00000153 80000000",
                                   "0004 0000 0000"
                                   "0016 0001 000b 00040072 0000"
                                   "0010 0010 0800 00000000 0000"
                                   "0000 00000000");

/// TPM2_CreatePrimary in the owner hierarchy: an RSA-2048 storage key, made
/// from the hierarchy's seed by the library's own generator.
const auto create_primary_rsa
  = tpm20_auth("00000131 40000001",
               "0004 0000 0000"
               "001a 0001 000b 00030472 0000"
               "0006 0080 0043 0010 0800 00000000 0000"
               "0000 00000000");

/// TPM2_FlushContext of what `create_primary_rsa` made.
const auto flush_primary = tpm20("00000165 80000001");

/// Runs `request` on a thread of its own and cancels until it has ended.
std::uint32_t run_cancelled(powered_tpm& tpm, const byte_vector& request) {
  auto code = std::uint32_t{0};
  auto done = std::atomic{false};
  auto runner = std::thread{[&] {
    code = tpm.run(request);
    done = true;
  }};
  while (!done) {
    tpm->cancel();
    std::this_thread::yield();
  }
  runner.join();
  return code;
}

} // namespace

TEST_SUITE("tpm/libtpms_cancel") {
  TEST_CASE("a running key generation of a TPM 2.0 can be cancelled") {
    auto tpm = powered_tpm{tpm_version::v2_0};
    REQUIRE(tpm.run(create_parent) == 0);
    auto request = byte_vector{};
    SUBCASE("by OpenSSL") {
      request = create_rsa;
    }
    SUBCASE("by libtpms") {
      request = create_primary_rsa;
    }
    auto cancelled = 0;
    for (auto attempt = 0; attempt < 20 && cancelled < 3; ++attempt) {
      const auto code = run_cancelled(tpm, request);
      CHECK((code == 0 || code == rc_canceled));
      if (code == rc_canceled)
        ++cancelled;
      else if (request == create_primary_rsa)
        REQUIRE(tpm.run(flush_primary) == 0);
      CHECK(tpm.run(get_random_2_0) == 0);
    }
    CHECK(cancelled > 0);
    CHECK(tpm.run(request) == 0);
  }

  TEST_CASE("a cancel before a command leaves the command alone") {
    auto tpm = powered_tpm{tpm_version::v2_0};
    REQUIRE(tpm.run(create_parent) == 0);
    tpm->cancel();
    CHECK(tpm.run(create_rsa) == 0);
  }

  TEST_CASE("a TPM 1.2 takes no notice of a cancel") {
    auto tpm = powered_tpm{tpm_version::v1_2};
    tpm->cancel();
    CHECK(tpm.run(get_random_1_2) == 0);
    CHECK(run_cancelled(tpm, get_random_1_2) == 0);
    CHECK(tpm.run(get_random_1_2) == 0);
  }
}
