#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string_view>

namespace vtpm::protocol {

/// Reads a decimal number that fills all of `text`, without sign or blanks.
template <std::unsigned_integral T>
std::optional<T> parse_decimal(std::string_view text) noexcept {
  T number = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, number);
  if (text.empty() || problem != std::errc{} || stop != end)
    return std::nullopt;
  return number;
}

} // namespace vtpm::protocol
