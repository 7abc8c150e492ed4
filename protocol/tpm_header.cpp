#include "protocol/tpm_header.hpp"

#include <cassert>

#include "protocol/big_endian.hpp"
#include "protocol/tpmif.hpp"

namespace vtpm::protocol {

namespace {

/// TPM_TAG_RQU_COMMAND, _AUTH1_COMMAND, _AUTH2_COMMAND (Part 2, 6).
constexpr bool is_tag_of_1_2(std::uint16_t tag) noexcept {
  return tag >= 0x00C1 && tag <= 0x00C3;
}

/// TPM_ST_NO_SESSIONS, TPM_ST_SESSIONS (2.0 Part 2, 6.9).
constexpr bool is_tag_of_2_0(std::uint16_t tag) noexcept {
  return tag == 0x8001 || tag == 0x8002;
}

tpm_header load(byte_view packet) noexcept {
  assert(packet.size() >= tpm_header::encoded_size);
  return {load_be<std::uint16_t>(packet.data()),
          load_be<std::uint32_t>(packet.data() + 2),
          load_be<std::uint32_t>(packet.data() + 6)};
}

} // namespace

result<tpm_header> tpm_header::decode_command(tpm_version version,
                                              byte_view packet) noexcept {
  if (packet.size() < encoded_size)
    return errc::truncated;
  if (packet.size() > packet_size_max)
    return errc::oversized;
  const auto header = load(packet);
  // The tag comes before the size: a client of the other version must learn
  // that, whatever else it got wrong (2.0 Part 3, 5.2 has the same order).
  const auto is_1_2 = is_tag_of_1_2(header.tag);
  const auto is_2_0 = is_tag_of_2_0(header.tag);
  if (!is_1_2 && !is_2_0)
    return errc::bad_tag;
  if (is_1_2 != (version == tpm_version::v1_2))
    return errc::other_version_tag;
  if (header.size != packet.size())
    return errc::size_mismatch;
  return header;
}

result<tpm_header> tpm_header::decode_response(byte_view packet) noexcept {
  if (packet.size() < encoded_size)
    return errc::truncated;
  if (packet.size() > packet_size_max)
    return errc::oversized;
  const auto header = load(packet);
  if (header.size != packet.size())
    return errc::size_mismatch;
  return header;
}

std::array<std::uint8_t, tpm_header::encoded_size> tpm_header::encode()
  const noexcept {
  std::array<std::uint8_t, encoded_size> wire;
  auto* end = store_be(wire.data(), tag);
  end = store_be(end, size);
  end = store_be(end, code);
  assert(end == wire.data() + wire.size());
  return wire;
}

} // namespace vtpm::protocol
