// Goal: no page, and no packet in it, can make us read outside the packet.
// Method: the input is a guest's page; it goes through every decoder of
// protocol/ the way the ring takes it, and what decodes must encode back.

#include <algorithm>
#include <array>
#include <cstdlib>

#include "protocol/admin.hpp"
#include "protocol/error_response.hpp"
#include "protocol/ordinal.hpp"
#include "protocol/tpm_header.hpp"
#include "protocol/tpmif.hpp"

using namespace vtpm;
using namespace vtpm::protocol;

namespace {

void require(bool holds) {
  if (!holds)
    std::abort();
}

bool is_inside(std::string_view text, byte_view packet) {
  const auto* begin = reinterpret_cast<const char*>(packet.data());
  return text.data() >= begin
    && text.data() + text.size() <= begin + packet.size();
}

bool starts_with(byte_view packet, const std::array<std::uint8_t, 10>& header) {
  return packet.size() >= header.size()
    && std::equal(header.begin(), header.end(), packet.begin());
}

/// A refusal must be a packet that a client can read.
void check_refusal(tpm_version version, errc code) {
  const auto response = error_response(version, refusal_for(code));
  const auto header = tpm_header::decode_response(response);
  require(header && header->code != tpm_success);
}

void check_command(tpm_version version, byte_view packet) {
  const auto header = tpm_header::decode_command(version, packet);
  if (!header) {
    check_refusal(version, header.error());
  } else {
    require(header->size == packet.size());
    require(starts_with(packet, header->encode()));
  }
  const auto attributes = attributes_of(version, packet);
  require(!attributes.name.empty());
  if (header) {
    const auto& wide = attributes_of(version, header->code);
    require(attributes.name == wide.name);
    require(wide.changes_volatile || !attributes.changes_volatile);
    require(wide.expensive || !attributes.expensive);
  }
}

void check_admin_request(tpm_version version, byte_view packet) {
  const auto request = decode_admin_request(version, packet);
  if (!request) {
    check_refusal(version, request.error());
    return;
  }
  require(is_admin_command(version, packet));
  require(is_inside(request->text, packet));
  require(request->text.size() <= admin_text_size_max);
  const auto again = encode_admin_request(version, *request);
  require(std::ranges::equal(again, packet));
}

void check_admin_reply(byte_view packet) {
  const auto page = decode_admin_reply(packet);
  if (!page)
    return;
  require(is_inside(page->text, packet));
  require(page->text.size() <= page->total);
}

/// Serves the packet's own octets as a reply, from an offset and into a space
/// that the packet chooses as well.
void check_paging(tpm_version version, const page_header& header,
                  byte_view packet) {
  const std::string_view reply{reinterpret_cast<const char*>(packet.data()),
                               packet.size()};
  const auto offset = std::uint32_t{header.locality} << 4 | header.pad;
  const auto response
    = encode_admin_reply(version, reply, offset, header.packet_size_max());
  require(response.size() <= header.packet_size_max());
  const auto page = decode_admin_reply(response);
  require(page && page->total == reply.size() && page->offset == offset);
  const auto rest = reply.substr(std::min<std::size_t>(offset, reply.size()));
  require(rest.substr(0, page->text.size()) == page->text);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  std::array<std::uint8_t, page_size> page{};
  std::copy_n(data, std::min(size, page.size()), page.begin());
  const auto wire = std::span{page}.first<page_header_size>();
  const auto header = page_header::decode(wire);
  require(std::ranges::equal(header.encode(), wire));
  require(header.packet_offset() + header.packet_size_max() == page_size);
  if (header.length > header.packet_size_max())
    return 0;
  // A copy of its own, so that the sanitizer sees a step beyond either end.
  const auto start
    = page.begin() + static_cast<std::ptrdiff_t>(header.packet_offset());
  const byte_vector packet(start,
                           start + static_cast<std::ptrdiff_t>(header.length));
  for (auto version : {tpm_version::v1_2, tpm_version::v2_0}) {
    check_command(version, packet);
    check_admin_request(version, packet);
    check_paging(version, header, packet);
  }
  check_admin_reply(packet);
  return 0;
}
