#include "tpm/slot_payload.hpp"

#include "protocol/big_endian.hpp"

namespace vtpm::tpm {

encoded_payload::encoded_payload(const snapshot& state, byte_view shadow_key,
                                 std::optional<std::uint64_t> number) noexcept {
  const auto put = [this](field_type type, byte_view value) {
    auto& header = headers_[count_ / 2];
    header = encode_field_header(type, value.size());
    parts_[count_++] = header;
    parts_[count_++] = value;
  };
  put(field_type::permanent, state.permanent);
  put(field_type::savestate, state.savestate);
  put(field_type::shadow_key, shadow_key);
  if (!number)
    return;
  protocol::store_be(number_.data(), *number);
  put(field_type::number, number_);
}

std::size_t encoded_payload::size() const noexcept {
  std::size_t total = 0;
  for (const auto& part : parts())
    total += part.size();
  return total;
}

result<slot_payload> decode_payload(byte_view plain) {
  auto out = slot_payload{};
  auto fields = field_reader{plain};
  for (;;) {
    auto next = fields.next();
    if (!next)
      return next.error();
    if (!*next)
      break;
    const auto& value = (*next)->value;
    switch ((*next)->type) {
      case field_type::permanent:
        out.state.permanent.assign(value.begin(), value.end());
        break;
      case field_type::savestate:
        out.state.savestate.assign(value.begin(), value.end());
        break;
      case field_type::shadow_key:
        if (value.size() != shadow_key_size)
          return malformed_fields("the shadow's key has a wrong size");
        out.shadow_key.assign(value.begin(), value.end());
        break;
      case field_type::number:
        if (value.size() != sizeof(std::uint64_t))
          return malformed_fields("the number has a wrong size");
        out.number = protocol::load_be<std::uint64_t>(value.data());
        break;
      default:
        return malformed_fields("a field of a later version");
    }
  }
  if (out.shadow_key.empty())
    return malformed_fields("a field is missing");
  return out;
}

} // namespace vtpm::tpm
