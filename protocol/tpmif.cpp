#include "protocol/tpmif.hpp"

namespace vtpm::protocol {

const char* to_string(page_state state) noexcept {
  switch (state) {
    case page_state::idle:
      return "idle";
    case page_state::submit:
      return "submit";
    case page_state::finish:
      return "finish";
    case page_state::cancel:
      return "cancel";
  }
  return "unknown";
}

page_header page_header::decode(
  std::span<const std::uint8_t, page_header_size> wire) noexcept {
  auto length = std::uint32_t{0};
  for (auto i = sizeof length; i-- > 0;)
    length = (length << 8) | wire[i];
  return {length, wire[4], wire[5], wire[6], wire[7]};
}

std::array<std::uint8_t, page_header_size> page_header::encode()
  const noexcept {
  const auto octet_of_length = [this](unsigned index) {
    return static_cast<std::uint8_t>(length >> (8 * index));
  };
  return {octet_of_length(0),
          octet_of_length(1),
          octet_of_length(2),
          octet_of_length(3),
          state,
          locality,
          pad,
          nr_extra_pages};
}

} // namespace vtpm::protocol
