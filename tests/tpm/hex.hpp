#pragma once

#include <cassert>
#include <fstream>
#include <string>
#include <string_view>

#include "protocol/bytes.hpp"

namespace vtpm::tests {

/// Reads hexadecimal digits; spaces and line ends are skipped.
inline byte_vector from_hex(std::string_view text) {
  auto out = byte_vector{};
  auto high = -1;
  for (const auto letter : text) {
    if (letter == ' ' || letter == '\n')
      continue;
    const auto digit
      = std::string_view{"0123456789abcdef"}.find(static_cast<char>(
        letter >= 'A' && letter <= 'F' ? letter - 'A' + 'a' : letter));
    assert(digit != std::string_view::npos);
    if (high < 0) {
      high = static_cast<int>(digit);
      continue;
    }
    out.push_back(
      static_cast<std::uint8_t>(high * 16 + static_cast<int>(digit)));
    high = -1;
  }
  assert(high < 0);
  return out;
}

/// Returns the octets of a format document's example: the hexadecimal lines
/// between its marks, without the comments behind them.
/// @param path Below the top of the source tree.
inline byte_vector hex_in_document(const std::string& path) {
  std::ifstream file{std::string{VTPM_SOURCE_DIR} + "/" + path};
  auto out = byte_vector{};
  auto inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("```"))
      inside = line.starts_with("```hex");
    else if (inside) {
      const auto octets = from_hex(line.substr(0, line.find('#')));
      out.insert(out.end(), octets.begin(), octets.end());
    }
  }
  return out;
}

/// Returns two digits per octet.
inline std::string to_hex(byte_view octets) {
  auto out = std::string{};
  for (const auto octet : octets) {
    out += "0123456789abcdef"[octet >> 4];
    out += "0123456789abcdef"[octet & 0x0F];
  }
  return out;
}

} // namespace vtpm::tests
