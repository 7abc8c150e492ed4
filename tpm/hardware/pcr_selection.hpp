#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tpm/errc.hpp"

namespace vtpm::tpm {

/// A bank of PCRs, by its TPM_ALG_ID (TPM 2.0 Part 2, 6.3).
enum class pcr_bank : std::uint16_t {
  sha1 = 0x0004,
  sha256 = 0x000B,
  sha384 = 0x000C,
  sha512 = 0x000D,
};

/// How many registers a bank of a PC has (PC Client Platform, 4.6.1).
inline constexpr unsigned pcr_count = 24;

/// Returns "sha1" and so on.
const char* to_string(pcr_bank bank) noexcept;

/// Returns how many octets a register of this bank has.
std::size_t digest_size(pcr_bank bank) noexcept;

/// Some registers of one bank.
struct pcr_selection {
  pcr_bank bank = pcr_bank::sha256;
  /// Bit n stands for PCR n.
  std::uint32_t mask = 0;

  friend bool operator==(const pcr_selection&, const pcr_selection&) = default;
};

/// Reads "sha256:0,2,4-7": a bank, and registers or ranges of them with both
/// ends. Refuses what names none, with `errc::unusable`.
result<pcr_selection> parse_pcr_selection(std::string_view text);

/// Returns what `parse_pcr_selection` reads, without ranges.
std::string to_string(const pcr_selection& pcrs);

} // namespace vtpm::tpm
