// Goal: no command that the engine knows is missing from our tables.
// Method: ask a real TPM of each version for its commands.

#include "protocol/ordinal.hpp"

#include <initializer_list>
#include <memory>
#include <utility>

#include <doctest/doctest.h>

#include "protocol/big_endian.hpp"
#include "protocol/tpm_header.hpp"
#include "tests/printing.hpp"
#include "tpm/libtpms_engine.hpp"

using namespace vtpm;
using namespace vtpm::protocol;

namespace {

std::unique_ptr<tpm::engine> new_tpm(tpm_version version) {
  auto state = tpm::manufacture_libtpms(version, {});
  REQUIRE(state);
  auto powered
    = tpm::power_on_libtpms(version, std::move(*state), tpm::startup::clear);
  REQUIRE(powered);
  return std::move((*powered).instance);
}

void append(byte_vector& packet, std::uint32_t value) {
  packet.resize(packet.size() + 4);
  store_be(packet.data() + packet.size() - 4, value);
}

/// Runs a command without sessions and returns the parameters of its response.
byte_vector run(tpm::engine& tpm, std::uint32_t ordinal,
                std::initializer_list<std::uint32_t> parameters) {
  const auto tag = tpm.version() == tpm_version::v1_2 ? 0x00C1 : 0x8001;
  const auto size = tpm_header::encoded_size + 4 * parameters.size();
  const auto header = tpm_header{static_cast<std::uint16_t>(tag),
                                 static_cast<std::uint32_t>(size), ordinal}
                        .encode();
  byte_vector packet(header.begin(), header.end());
  for (auto parameter : parameters)
    append(packet, parameter);
  auto response = tpm.execute(0, packet).response;
  const auto result = tpm_header::decode_response(response);
  REQUIRE(result);
  REQUIRE(result->code == tpm_success);
  response.erase(response.begin(), response.begin() + tpm_header::encoded_size);
  return response;
}

} // namespace

TEST_SUITE("protocol/ordinal_coverage") {
  TEST_CASE("every ordinal that a 1.2 TPM has is in the table") {
    auto tpm = new_tpm(tpm_version::v1_2);
    auto supported = 0;
    for (auto base : {0U, 0x40000000U})
      for (auto ordinal = base; ordinal < base + 0x1000; ++ordinal) {
        // GetCapability(TPM_CAP_ORD, ordinal): respSize, TPM_BOOL
        const auto answer = run(*tpm, 0x65, {1, 4, ordinal});
        REQUIRE(answer.size() == 5);
        if (answer[4] == 0)
          continue;
        ++supported;
        CAPTURE(ordinal);
        CHECK(attributes_of(tpm_version::v1_2, ordinal).name != "unknown");
      }
    CHECK(supported > 100);
  }

  TEST_CASE("every command that a 2.0 TPM has is in the table") {
    auto tpm = new_tpm(tpm_version::v2_0);
    // GetCapability(TPM_CAP_COMMANDS, first, count):
    // moreData, capability, count, then one TPMA_CC each
    const auto answer = run(*tpm, 0x17A, {2, 0, 256});
    REQUIRE(answer.size() >= 9);
    REQUIRE(answer[0] == 0);
    const auto count = load_be<std::uint32_t>(answer.data() + 5);
    REQUIRE(answer.size() == 9 + 4 * std::size_t{count});
    CHECK(count > 90);
    for (std::size_t i = 0; i < count; ++i) {
      // TPMA_CC: the command index in bits 0 to 15, V in bit 29.
      const auto code
        = load_be<std::uint32_t>(answer.data() + 9 + 4 * i) & 0x2000FFFF;
      CAPTURE(code);
      CHECK(attributes_of(tpm_version::v2_0, code).name != "unknown");
    }
  }
}
