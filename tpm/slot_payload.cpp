#include "tpm/slot_payload.hpp"

namespace vtpm::tpm {

encoded_payload::encoded_payload(const snapshot& state,
                                 byte_view shadow_key) noexcept {
  const auto put
    = [this](std::size_t position, field_type type, byte_view value) {
        headers_[position] = encode_field_header(type, value.size());
        parts_[2 * position] = headers_[position];
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
      default:
        return malformed_fields("a field of a later version");
    }
  }
  if (out.shadow_key.empty())
    return malformed_fields("a field is missing");
  return out;
}

} // namespace vtpm::tpm
