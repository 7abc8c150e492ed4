#include "xenio/guest_side.hpp"

#include <array>

namespace vtpm::xenio {

namespace {

constexpr std::size_t locality_offset = protocol::page_state_offset + 1;

} // namespace

bool is_free(const shared_page& page) noexcept {
  const auto state = page.load_state();
  return state != static_cast<std::uint8_t>(protocol::page_state::submit)
    && state != static_cast<std::uint8_t>(protocol::page_state::cancel);
}

bool place_request(shared_page& page, std::uint8_t locality,
                   byte_view request) noexcept {
  if (request.size() > protocol::packet_size_max
      || !page.copy_out(protocol::page_header_size, request))
    return false;
  page.store_length(static_cast<std::uint32_t>(request.size()));
  const std::array<std::uint8_t, 3> locality_pad_pages = {locality, 0, 0};
  (void)page.copy_out(locality_offset, locality_pad_pages);
  page.store_state(protocol::page_state::submit);
  return true;
}

result<byte_vector> collect_response(const shared_page& page) {
  const auto header = page.load_header();
  if (header.length > header.packet_size_max())
    return error{errc::protocol,
                 "a response of " + std::to_string(header.length)
                   + " octets does not fit into the page"};
  byte_vector response(header.length);
  (void)page.copy_in(header.packet_offset(), response);
  return response;
}

} // namespace vtpm::xenio
