#include "tpm/field_list.hpp"

#include <string>

#include "protocol/big_endian.hpp"

namespace vtpm::tpm {

using protocol::load_be;
using protocol::store_be;

field_header encode_field_header(field_type type, std::size_t size) noexcept {
  auto out = field_header{};
  auto* at = store_be(out.data(), static_cast<std::uint16_t>(type));
  store_be(at, static_cast<std::uint32_t>(size));
  return out;
}

result<std::optional<field>> field_reader::next() {
  while (!rest_.empty()) {
    if (rest_.size() < field_header{}.size())
      return malformed_fields("a field is cut short");
    const auto type = load_be<std::uint16_t>(rest_.data());
    const auto size = load_be<std::uint32_t>(rest_.data() + 2);
    rest_ = rest_.subspan(field_header{}.size());
    if (size > rest_.size())
      return malformed_fields("a field is longer than what is left");
    const auto value = rest_.first(size);
    rest_ = rest_.subspan(size);
    const auto known = static_cast<field_type>(type);
    if (optional_ == known) {
      optional_.reset();
      return std::optional{field{known, value}};
    }
    if (type >= optional_field_min)
      continue;
    if (type != expected_)
      return malformed_fields("a field is missing, repeated or of a later "
                              "version");
    ++expected_;
    return std::optional{field{known, value}};
  }
  return std::optional<field>{};
}

error malformed_fields(const char* what) {
  return {errc::not_a_state,
          std::string{"the opened state is malformed: "} + what};
}

} // namespace vtpm::tpm
