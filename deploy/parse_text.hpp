#pragma once

#include <charconv>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "deploy/result.hpp"
#include "protocol/version.hpp"

// Option texts to values, shared by the tools.

namespace vtpm::deploy {

/// Reads a decimal number that fits into `T`; nothing may precede or follow it.
template <std::unsigned_integral T>
std::optional<T> parse_number(std::string_view text) noexcept {
  auto value = T{};
  const auto end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, value);
  if (code != std::errc{} || stop != end)
    return std::nullopt;
  return value;
}

/// Splits at every `separator`; the empty text has one part, itself.
std::vector<std::string_view> split(std::string_view text, char separator);

/// Reads "1.2" or "2.0".
result<tpm_version> parse_tpm_version(std::string_view text);

/// Reads PCR bank names separated by commas: sha1, sha256, sha384, sha512, each
/// once.
result<std::vector<std::string>> parse_pcr_banks(std::string_view text);

/// Reads a level name of `vtpm::set_log_level`.
result<std::string> parse_log_level(std::string_view text);

} // namespace vtpm::deploy
