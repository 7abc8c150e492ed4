#include "protocol/error_response.hpp"

#include <cassert>

#include "protocol/tpm_header.hpp"

namespace vtpm::protocol {

namespace {

/// TPM_TAG_RSP_COMMAND (Part 2, 6); TPM_ST_RSP_COMMAND (2.0 Part 2, 6.9).
constexpr std::uint16_t response_tag_1_2 = 0x00C4;

/// TPM_ST_NO_SESSIONS (2.0 Part 2, 6.9).
constexpr std::uint16_t response_tag_2_0 = 0x8001;

error_packet packet_of(std::uint16_t tag, std::uint32_t code) noexcept {
  return tpm_header{tag, tpm_header::encoded_size, code}.encode();
}

error_packet response_1_2(refusal reason) noexcept {
  const auto packet
    = [](std::uint32_t code) { return packet_of(response_tag_1_2, code); };
  switch (reason) {
    case refusal::bad_size:
      return packet(0x19);
    case refusal::bad_tag:
      return packet(0x1E);
    case refusal::bad_locality:
      return packet(0x3D);
    case refusal::bad_parameter:
      return packet(0x03);
    case refusal::failure:
    case refusal::cancelled:
      return packet(0x09);
  }
  assert(false);
  return packet(0x09);
}

error_packet response_2_0(refusal reason) noexcept {
  const auto packet
    = [](std::uint32_t code) { return packet_of(response_tag_2_0, code); };
  switch (reason) {
    case refusal::bad_size:
      return packet(0x142);
    case refusal::bad_tag:
      return packet_of(response_tag_1_2, 0x1E);
    case refusal::bad_locality:
    case refusal::bad_parameter:
      return packet(0x907);
    case refusal::failure:
      return packet(0x101);
    case refusal::cancelled:
      return packet(0x909);
  }
  assert(false);
  return packet(0x101);
}

} // namespace

error_packet error_response(tpm_version version, refusal reason) noexcept {
  return version == tpm_version::v1_2 ? response_1_2(reason)
                                      : response_2_0(reason);
}

refusal refusal_for(errc code) noexcept {
  switch (code) {
    case errc::truncated:
    case errc::oversized:
    case errc::size_mismatch:
      return refusal::bad_size;
    case errc::bad_tag:
    case errc::other_version_tag:
      return refusal::bad_tag;
    case errc::malformed:
      return refusal::bad_parameter;
  }
  assert(false);
  return refusal::failure;
}

} // namespace vtpm::protocol
