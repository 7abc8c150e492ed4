#include "protocol/admin.hpp"

#include <algorithm>
#include <cassert>
#include <limits>

#include "protocol/big_endian.hpp"

namespace vtpm::protocol {

namespace {

/// TPM_TAG_RQU_COMMAND and TPM_TAG_RSP_COMMAND (Part 2, 6).
constexpr std::uint16_t request_tag_1_2 = 0x00C1;
constexpr std::uint16_t response_tag_1_2 = 0x00C4;

/// TPM_ST_NO_SESSIONS (2.0 Part 2, 6.9), for requests and responses.
constexpr std::uint16_t tag_2_0 = 0x8001;

/// TPM_ORD_SetCapability (Part 2, 17).
constexpr std::uint32_t set_capability = 0x3F;

/// TPM_SET_VENDOR (Part 2, 21.4).
constexpr std::uint32_t set_vendor = 0x07;

/// The size of the subCap field, in which the offset travels.
constexpr std::uint32_t sub_cap_size = 4;

/// Ours, in the range that 2.0 Part 2, 6.5.2 leaves to vendors (bit 29).
constexpr std::uint32_t vendor_command = 0x20000001;

/// capArea and subCapSize.
constexpr std::size_t prefix_size_1_2 = 4 + 4;

/// offset and n.
constexpr std::size_t request_fixed_size = 4 + 4;

/// total and offset.
constexpr std::size_t reply_fixed_size = 4 + 4;

std::string_view text_of(byte_view octets) noexcept {
  return {reinterpret_cast<const char*>(octets.data()), octets.size()};
}

void append(byte_vector& packet, std::uint32_t value) {
  packet.resize(packet.size() + sizeof value);
  store_be(packet.data() + packet.size() - sizeof value, value);
}

void append(byte_vector& packet, std::string_view text) {
  packet.insert(packet.end(), text.begin(), text.end());
}

byte_vector start_packet(std::uint16_t tag, std::size_t size,
                         std::uint32_t code) {
  const auto header
    = tpm_header{tag, static_cast<std::uint32_t>(size), code}.encode();
  byte_vector packet;
  packet.reserve(size);
  packet.assign(header.begin(), header.end());
  return packet;
}

} // namespace

bool is_admin_command(tpm_version version, byte_view packet) noexcept {
  if (packet.size() < tpm_header::encoded_size)
    return false;
  const auto code = load_be<std::uint32_t>(packet.data() + 6);
  if (version == tpm_version::v2_0)
    return code == vendor_command;
  return code == set_capability && packet.size() >= tpm_header::encoded_size + 4
    && load_be<std::uint32_t>(packet.data() + tpm_header::encoded_size)
    == set_vendor;
}

result<admin_request> decode_admin_request(tpm_version version,
                                           byte_view packet) noexcept {
  const auto header = tpm_header::decode_command(version, packet);
  if (!header)
    return header.error();
  const auto is_1_2 = version == tpm_version::v1_2;
  if (!is_admin_command(version, packet)
      || header->tag != (is_1_2 ? request_tag_1_2 : tag_2_0))
    return errc::malformed;
  auto body = packet.subspan(tpm_header::encoded_size);
  if (is_1_2) {
    if (body.size() < prefix_size_1_2
        || load_be<std::uint32_t>(body.data() + 4) != sub_cap_size)
      return errc::malformed;
    body = body.subspan(prefix_size_1_2);
  }
  if (body.size() < request_fixed_size)
    return errc::malformed;
  const auto offset = load_be<std::uint32_t>(body.data());
  const auto size = load_be<std::uint32_t>(body.data() + 4);
  body = body.subspan(request_fixed_size);
  if (size != body.size() || size > admin_text_size_max)
    return errc::malformed;
  return admin_request{offset, text_of(body)};
}

byte_vector encode_admin_request(tpm_version version,
                                 const admin_request& request) {
  assert(request.text.size() <= admin_text_size_max);
  const auto is_1_2 = version == tpm_version::v1_2;
  const auto size = tpm_header::encoded_size + (is_1_2 ? prefix_size_1_2 : 0)
    + request_fixed_size + request.text.size();
  auto packet = start_packet(is_1_2 ? request_tag_1_2 : tag_2_0, size,
                             is_1_2 ? set_capability : vendor_command);
  if (is_1_2) {
    append(packet, set_vendor);
    append(packet, sub_cap_size);
  }
  append(packet, request.offset);
  append(packet, static_cast<std::uint32_t>(request.text.size()));
  append(packet, request.text);
  assert(packet.size() == size);
  return packet;
}

byte_vector encode_admin_reply(tpm_version version, std::string_view reply,
                               std::uint32_t offset, std::size_t size_max) {
  assert(reply.size() <= std::numeric_limits<std::uint32_t>::max());
  constexpr auto empty_size = tpm_header::encoded_size + reply_fixed_size;
  const auto room = std::max(size_max, empty_size) - empty_size;
  const auto page
    = offset < reply.size() ? reply.substr(offset, room) : std::string_view{};
  auto packet
    = start_packet(version == tpm_version::v1_2 ? response_tag_1_2 : tag_2_0,
                   empty_size + page.size(), tpm_success);
  append(packet, static_cast<std::uint32_t>(reply.size()));
  append(packet, offset);
  append(packet, page);
  return packet;
}

result<admin_reply> decode_admin_reply(byte_view packet) noexcept {
  const auto header = tpm_header::decode_response(packet);
  if (!header)
    return header.error();
  auto body = packet.subspan(tpm_header::encoded_size);
  if (header->code != tpm_success || body.size() < reply_fixed_size)
    return errc::malformed;
  const auto total = load_be<std::uint32_t>(body.data());
  const auto offset = load_be<std::uint32_t>(body.data() + 4);
  body = body.subspan(reply_fixed_size);
  const auto left = offset < total ? total - offset : 0;
  if (body.size() > left)
    return errc::malformed;
  return admin_reply{total, offset, text_of(body)};
}

} // namespace vtpm::protocol
