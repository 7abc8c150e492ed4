#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "protocol/bytes.hpp"
#include "protocol/errc.hpp"
#include "protocol/result.hpp"
#include "protocol/version.hpp"

namespace vtpm::protocol {

template <class T>
using result = basic_result<T, errc>;

/// The ten octets that open every TPM command and response, 1.2 and 2.0 alike
/// (TPM Main Part 3, section 2; TPM 2.0 Part 1, 18.2 and 18.3), big-endian:
///
///     offset  octets  field
///          0       2  tag
///          2       4  size   of the whole packet, this header included
///          6       4  code   ordinal of a command, result of a response
struct tpm_header {
  static constexpr std::size_t encoded_size = 2 + 4 + 4;

  std::uint16_t tag;
  std::uint32_t size;
  std::uint32_t code;

  /// Reads the header of a command, which must hold exactly one command of a
  /// TPM of `version`. Accepts 1.2 tags 0x00C1..0x00C3, or 2.0 tags 0x8001 and
  /// 0x8002.
  static result<tpm_header> decode_command(tpm_version version,
                                           byte_view packet) noexcept;

  /// Reads the header of a response, which must hold exactly one response.
  /// The tag is not checked.
  static result<tpm_header> decode_response(byte_view packet) noexcept;

  /// Returns the wire form. Inverse of the two above.
  std::array<std::uint8_t, encoded_size> encode() const noexcept;

  friend bool operator==(const tpm_header&, const tpm_header&) = default;
};

static_assert(tpm_header::encoded_size == 10);

/// TPM_SUCCESS (Part 2, 16) and TPM_RC_SUCCESS (2.0 Part 2, 6.6.3).
inline constexpr std::uint32_t tpm_success = 0;

} // namespace vtpm::protocol
