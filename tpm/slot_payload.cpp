#include "tpm/slot_payload.hpp"

#include "protocol/big_endian.hpp"

namespace vtpm::tpm {

using protocol::load_be;
using protocol::store_be;

namespace {

/// On the disk: do not change the values.
enum class field_type : std::uint16_t {
  permanent = 1,
  savestate = 2,
  shadow_key = 3,
};

/// Fields from here on may be skipped by who does not know them.
constexpr std::uint16_t optional_field_min = 0x8000;

constexpr std::size_t field_header_size = 2 + 4;

error malformed(const char* what) {
  return {errc::not_a_state,
          std::string{"the opened state is malformed: "} + what};
}

} // namespace

encoded_payload::encoded_payload(const snapshot& state,
                                 byte_view shadow_key) noexcept {
  const auto put
    = [this](std::size_t position, field_type type, byte_view value) {
        auto& header = headers_[position];
        auto* at = store_be(header.data(), static_cast<std::uint16_t>(type));
        store_be(at, static_cast<std::uint32_t>(value.size()));
        parts_[2 * position] = header;
        parts_[2 * position + 1] = value;
      };
  put(0, field_type::permanent, state.permanent);
  put(1, field_type::savestate, state.savestate);
  put(2, field_type::shadow_key, shadow_key);
}

std::size_t encoded_payload::size() const noexcept {
  std::size_t total = 0;
  for (const auto& part : parts_)
    total += part.size();
  return total;
}

result<slot_payload> decode_payload(byte_view plain) {
  auto out = slot_payload{};
  auto expected = std::uint16_t{1};
  while (!plain.empty()) {
    if (plain.size() < field_header_size)
      return malformed("a field is cut short");
    const auto type = load_be<std::uint16_t>(plain.data());
    const auto size = load_be<std::uint32_t>(plain.data() + 2);
    plain = plain.subspan(field_header_size);
    if (size > plain.size())
      return malformed("a field is longer than what is left");
    const auto value = plain.first(size);
    plain = plain.subspan(size);
    if (type >= optional_field_min)
      continue;
    if (type != expected++)
      return malformed("a field is missing, repeated or of a later version");
    switch (static_cast<field_type>(type)) {
      case field_type::permanent:
        out.state.permanent.assign(value.begin(), value.end());
        break;
      case field_type::savestate:
        out.state.savestate.assign(value.begin(), value.end());
        break;
      case field_type::shadow_key:
        if (size != shadow_key_size)
          return malformed("the shadow's key has a wrong size");
        out.shadow_key.assign(value.begin(), value.end());
        break;
      default:
        return malformed("a field of a later version");
    }
  }
  if (out.shadow_key.empty())
    return malformed("a field is missing");
  return out;
}

} // namespace vtpm::tpm
