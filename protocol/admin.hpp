#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/bytes.hpp"
#include "protocol/tpm_header.hpp"

// The administrator's gate: one control request inside a TPM command at
// locality 8, answered by vtpmd and never by the engine. As in the original
// vTPM, whose emulator opened its vendor capability at that locality only.
//
// Request, 1.2: TPM_SetCapability (ordinal 0x3F), capArea TPM_SET_VENDOR,
//   u32 capArea | u32 4 | u32 offset | u32 n | n octets of request text
// Request, 2.0: tag 0x8001, vendor command 0x20000001,
//   u32 offset | u32 n | n octets of request text
// Response, both, after the header:
//   u32 total | u32 offset | octets [offset, ...) of the reply text
// The reply to one request text is read page by page: the caller repeats the
// request with the next offset until it has `total` octets.

namespace vtpm::protocol {

/// The locality number that opens the gate. No TCG mask bit exists for it.
inline constexpr std::uint8_t admin_locality = 8;

/// The highest locality that an engine may see (TPM Main Part 1, 13).
inline constexpr std::uint8_t engine_locality_max = 4;

/// Upper bound on the request text.
inline constexpr std::size_t admin_text_size_max = 1024;

/// One decoded request.
struct admin_request {
  /// Where in the reply the caller wants to go on reading.
  std::uint32_t offset;
  /// Borrowed from the packet.
  std::string_view text;
};

/// Returns whether `packet` is the command that carries control requests, at
/// whatever locality it came and whatever else is wrong with it.
bool is_admin_command(tpm_version version, byte_view packet) noexcept;

/// Reads a request.
result<admin_request> decode_admin_request(tpm_version version,
                                           byte_view packet) noexcept;

/// Returns the packet that carries `request`. Inverse of the above.
/// @pre `request.text.size() <= admin_text_size_max`
byte_vector encode_admin_request(tpm_version version,
                                 const admin_request& request);

/// One page of a reply.
struct admin_reply {
  std::uint32_t total;
  std::uint32_t offset;
  std::string_view text;
};

/// Returns the response packet with as much of `reply`, from `offset`, as fits
/// into `size_max` octets. An offset beyond the reply yields an empty page, of
/// 18 octets, and so does a smaller `size_max`: no page offers less room.
byte_vector encode_admin_reply(tpm_version version, std::string_view reply,
                               std::uint32_t offset, std::size_t size_max);

/// Reads a page of a reply out of a response packet; borrowed from it.
result<admin_reply> decode_admin_reply(byte_view packet) noexcept;

} // namespace vtpm::protocol
