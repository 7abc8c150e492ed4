// Goal: what the hardware TPM has measured is in the vTPM's PCRs before
// anybody's command, after each reset, and once. Method: a real TPM; what its
// PCRs must hold is found by extending them by hand.

#include "tpm/initial_pcrs.hpp"

#include <doctest/doctest.h>

#include "protocol/manager.hpp"
#include "tests/tpm/engine_fixture.hpp"

using namespace vtpm;
using namespace vtpm::tests;

namespace {

/// One that anybody may extend, and one of a dynamic launch.
std::vector<tpm::initial_pcr> some_values() {
  return {{7, byte_vector(20, 0x77), byte_vector(32, 0x78)},
          {19, byte_vector(20, 0x99), byte_vector(32, 0x9A)}};
}

/// Returns the answers to reads of all PCRs, one after the other.
byte_vector all_pcrs(tpm::engine& engine) {
  byte_vector all;
  for (auto index = 0u; index < 24; ++index) {
    const auto request = engine.version() == tpm_version::v1_2
      ? protocol::manager::pcr_read_request(index)
      : protocol::manager::pcr_read_request(0x000B, index);
    const auto response = engine.execute(0, request).response;
    REQUIRE(code_of(response) == 0);
    // 2.0: without the counter of updates.
    const auto skip = engine.version() == tpm_version::v1_2 ? 10 : 14;
    all.insert(all.end(), response.begin() + skip, response.end());
  }
  return all;
}

/// Returns what the PCRs of a new TPM hold after these were extended by hand.
byte_vector extended_by_hand(tpm_version version) {
  powered_tpm tpm{version};
  for (const auto& value : some_values())
    REQUIRE(
      tpm.run(tpm::extend_request(version, value), value.index == 19 ? 2 : 0)
      == 0);
  return all_pcrs(*tpm);
}

constexpr tpm_version versions[] = {tpm_version::v1_2, tpm_version::v2_0};

} // namespace

TEST_SUITE("tpm/initial_pcrs") {
  TEST_CASE("values are there at once, and again after each reset") {
    for (const auto version : versions) {
      CAPTURE(to_string(version));
      const auto wanted = extended_by_hand(version);
      auto on = tpm::power_on_libtpms(version, factory_state(version),
                                      tpm::startup::clear);
      REQUIRE(on);
      const auto untouched = all_pcrs(*on->instance);
      CHECK(untouched != wanted);
      auto measured
        = tpm::with_initial_pcrs(std::move(*on), some_values(), true);
      REQUIRE(measured);
      auto& engine = *measured->instance;
      CHECK(all_pcrs(engine) == wanted);
      REQUIRE(engine.reset(tpm::startup::clear));
      CHECK(all_pcrs(engine) == wanted);
    }
  }

  TEST_CASE("a TPM that goes on is left as it is, until it is reset") {
    const auto wanted = extended_by_hand(tpm_version::v2_0);
    auto on = tpm::power_on_libtpms(
      tpm_version::v2_0, factory_state(tpm_version::v2_0), tpm::startup::clear);
    REQUIRE(on);
    const auto untouched = all_pcrs(*on->instance);
    auto measured
      = tpm::with_initial_pcrs(std::move(*on), some_values(), false);
    REQUIRE(measured);
    CHECK(all_pcrs(*measured->instance) == untouched);
    REQUIRE(measured->instance->reset(tpm::startup::clear));
    CHECK(all_pcrs(*measured->instance) == wanted);
  }

  TEST_CASE("a bank that the hardware does not have is left out") {
    const auto value = tpm::initial_pcr{3, {}, byte_vector(32, 1)};
    CHECK(tpm::extend_request(tpm_version::v1_2, value).empty());
    CHECK(tpm::extend_request(tpm_version::v2_0, value).size()
          == 10 + 4 + 4 + 9 + 4 + 2 + 32);
    CHECK(tpm::extend_request(tpm_version::v2_0, {3, {}, {}}).empty());
  }

  TEST_CASE("a TPM that was not started is no TPM to begin with") {
    auto on = tpm::power_on_libtpms(
      tpm_version::v1_2, factory_state(tpm_version::v1_2), tpm::startup::none);
    REQUIRE(on);
    const auto measured
      = tpm::with_initial_pcrs(std::move(*on), some_values(), true);
    REQUIRE(!measured);
    CHECK(measured.error().code == tpm::errc::engine);
  }
}
