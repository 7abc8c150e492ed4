// Goal: an engine's dynamic PCRs obey the locality that each command carries,
// and nothing else.
// Method: every PCR of 16..23 is extended and reset from every locality, on one
// TPM, and the outcome compared with the tables of the PC Client
// specifications.

#include <array>

#include "tests/tpm/engine_commands.hpp"
#include "tests/tpm/engine_fixture.hpp"

using namespace vtpm;
using namespace vtpm::tests;

namespace {

/// Who may do what to one PCR: bit n is locality n.
struct rule {
  unsigned pcr;
  unsigned extend;
  unsigned reset;
};

/// PC Client TPM Interface Specification 1.21 (TPM 1.2), "PCR Attributes".
constexpr auto rules_1_2 = std::array{
  rule{16, 0x1F, 0x1F}, rule{17, 0x1C, 0x10}, rule{18, 0x1C, 0x10},
  rule{19, 0x0C, 0x10}, rule{20, 0x0E, 0x14}, rule{21, 0x04, 0x04},
  rule{22, 0x04, 0x04}, rule{23, 0x1F, 0x1F},
};

/// PC Client Platform TPM Profile (TPM 2.0), "PCR Attributes". Locality 4 is
/// the hardware's: it resets by _TPM_Hash_Start, and libtpms takes no
/// TPM2_PCR_Reset from it for any PCR.
constexpr auto rules_2_0 = std::array{
  rule{16, 0x1F, 0x0F}, rule{17, 0x1C, 0x00}, rule{18, 0x1C, 0x00},
  rule{19, 0x0C, 0x00}, rule{20, 0x0E, 0x04}, rule{21, 0x04, 0x04},
  rule{22, 0x04, 0x04}, rule{23, 0x1F, 0x0F},
};

byte_vector extend_pcr_1_2(unsigned pcr) {
  return tpm12("00000014" + hex_of(pcr) + digest);
}

byte_vector reset_pcr_1_2(unsigned pcr) {
  auto select = std::array<std::uint8_t, 3>{};
  select[pcr / 8] = static_cast<std::uint8_t>(1u << (pcr % 8));
  return tpm12("000000c8 0003" + hex(select));
}

byte_vector extend_pcr_2_0(unsigned pcr) {
  return tpm20_auth("00000182" + hex_of(pcr), "00000001 0004" + digest);
}

byte_vector reset_pcr_2_0(unsigned pcr) {
  return tpm20_auth("0000013d" + hex_of(pcr), "");
}

} // namespace

TEST_SUITE("tpm/libtpms_locality") {
  TEST_CASE("dynamic PCRs of a TPM 1.2 obey the command's locality") {
    constexpr auto bad_locality = 0x3Du;
    constexpr auto not_local = 0x33u;
    auto tpm = powered_tpm{tpm_version::v1_2};
    for (const auto& entry : rules_1_2)
      for (auto locality = std::uint8_t{0}; locality <= 4; ++locality) {
        CAPTURE(entry.pcr);
        CAPTURE(unsigned{locality});
        const auto may_extend = (entry.extend >> locality & 1) != 0;
        const auto may_reset = (entry.reset >> locality & 1) != 0;
        CHECK(tpm.run(extend_pcr_1_2(entry.pcr), locality)
              == (may_extend ? 0 : bad_locality));
        CHECK(tpm.run(reset_pcr_1_2(entry.pcr), locality)
              == (may_reset ? 0 : not_local));
      }
  }

  TEST_CASE("dynamic PCRs of a TPM 2.0 obey the command's locality") {
    constexpr auto rc_locality = 0x907u;
    auto tpm = powered_tpm{tpm_version::v2_0};
    for (const auto& entry : rules_2_0)
      for (auto locality = std::uint8_t{0}; locality <= 4; ++locality) {
        CAPTURE(entry.pcr);
        CAPTURE(unsigned{locality});
        const auto may_extend = (entry.extend >> locality & 1) != 0;
        const auto may_reset = (entry.reset >> locality & 1) != 0;
        CHECK(tpm.run(extend_pcr_2_0(entry.pcr), locality)
              == (may_extend ? 0 : rc_locality));
        CHECK(tpm.run(reset_pcr_2_0(entry.pcr), locality)
              == (may_reset ? 0 : rc_locality));
      }
  }
}
