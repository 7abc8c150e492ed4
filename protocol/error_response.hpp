#pragma once

#include <array>
#include <cstdint>

#include "protocol/errc.hpp"
#include "protocol/version.hpp"

namespace vtpm::protocol {

/// What vtpmd itself, rather than the engine, may have to tell a guest.
enum class refusal : std::uint8_t {
  /// Lengths that are impossible or contradict each other.
  bad_size,
  /// A tag that no command of this version carries.
  bad_tag,
  /// The frontend may not use the locality it asked for.
  bad_locality,
  /// The administrator's request is not for this caller or not understood.
  bad_parameter,
  /// The command ran, or may have run, and its outcome is unknown; or the TPM
  /// is in fail-stop.
  failure,
  /// The guest cancelled the command while it ran.
  cancelled,
};

/// An error response: a header and nothing else.
using error_packet = std::array<std::uint8_t, 10>;

/// Returns the response that a TPM of `version` gives to `reason`:
///
///     refusal        1.2 (tag 0x00C4)            2.0 (tag 0x8001)
///     bad_size       TPM_BAD_PARAM_SIZE   0x19   TPM_RC_COMMAND_SIZE 0x142
///     bad_tag        TPM_BADTAG           0x1E   TPM_RC_BAD_TAG 0x1E, tag 00C4
///     bad_locality   TPM_BAD_LOCALITY     0x3D   TPM_RC_LOCALITY     0x907
///     bad_parameter  TPM_BAD_PARAMETER    0x03   TPM_RC_LOCALITY     0x907
///     failure        TPM_FAIL             0x09   TPM_RC_FAILURE      0x101
///     cancelled      TPM_FAIL             0x09   TPM_RC_CANCELED     0x909
///
/// A 2.0 TPM answers a bad tag in the 1.2 form, as 2.0 Part 1 asks for; a stock
/// Xen frontend, which speaks 1.2 only, understands it.
error_packet error_response(tpm_version version, refusal reason) noexcept;

/// Returns the refusal that a packet gets which `code` describes.
refusal refusal_for(errc code) noexcept;

} // namespace vtpm::protocol
