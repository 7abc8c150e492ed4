#include <algorithm>
#include <cstddef>

#include "tpm/crypto/random.hpp"
#include "tpm/state_store.hpp"

namespace vtpm::tpm {

namespace {

/// 32 digits and four hyphens (RFC 4122, section 3).
constexpr std::size_t text_size = 2 * 16 + 4;

/// Returns whether a hyphen stands before octet `index`: 8-4-4-4-12 digits.
constexpr bool hyphen_before(std::size_t index) noexcept {
  return index == 4 || index == 6 || index == 8 || index == 10;
}

constexpr int digit_value(char digit) noexcept {
  if (digit >= '0' && digit <= '9')
    return digit - '0';
  if (digit >= 'a' && digit <= 'f')
    return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F')
    return digit - 'A' + 10;
  return -1;
}

} // namespace

std::string to_string(const uuid& id) {
  static constexpr char digits[] = "0123456789abcdef";
  auto out = std::string{};
  out.reserve(text_size);
  for (std::size_t i = 0; i < id.size(); ++i) {
    if (hyphen_before(i))
      out += '-';
    out += digits[id[i] >> 4];
    out += digits[id[i] & 0x0F];
  }
  return out;
}

std::optional<uuid> parse_uuid(std::string_view text) noexcept {
  if (text.size() != text_size)
    return std::nullopt;
  auto out = uuid{};
  std::size_t at = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (hyphen_before(i) && text[at++] != '-')
      return std::nullopt;
    const auto high = digit_value(text[at++]);
    const auto low = digit_value(text[at++]);
    if (high < 0 || low < 0)
      return std::nullopt;
    out[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return out;
}

uuid make_uuid() {
  auto out = uuid{};
  fill_random(out);
  // Version 4, variant 10 (RFC 4122, section 4.4).
  out[6] = static_cast<std::uint8_t>((out[6] & 0x0F) | 0x40);
  out[8] = static_cast<std::uint8_t>((out[8] & 0x3F) | 0x80);
  return out;
}

} // namespace vtpm::tpm
