#pragma once

#include <cstdint>

namespace vtpm {

/// The two TPM families. The values are stored in every state slot: do not
/// change them.
enum class tpm_version : std::uint8_t {
  v1_2 = 1,
  v2_0 = 2,
};

/// Returns "1.2" or "2.0".
constexpr const char* to_string(tpm_version version) noexcept {
  return version == tpm_version::v1_2 ? "1.2" : "2.0";
}

} // namespace vtpm
