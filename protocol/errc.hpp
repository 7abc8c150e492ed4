#pragma once

#include <cstdint>

namespace vtpm::protocol {

/// Why a packet was refused. The guest controls every input that leads here, so
/// each value is an expected outcome and none of them is ever an assertion.
enum class errc : std::uint8_t {
  /// Fewer octets than a TPM header occupies.
  truncated = 1,
  /// More octets than the page holds.
  oversized,
  /// The header's size differs from the number of octets in the page.
  size_mismatch,
  /// The tag is not one that a command of this TPM version may carry.
  bad_tag,
  /// The tag belongs to the other TPM version.
  other_version_tag,
  /// A field inside the packet is cut short or contradicts another.
  malformed,
};

/// Returns the enumerator's name, for logs and test output.
const char* to_string(errc code) noexcept;

} // namespace vtpm::protocol
