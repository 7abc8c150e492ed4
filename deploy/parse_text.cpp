#include "deploy/parse_text.hpp"

#include <algorithm>
#include <array>

namespace vtpm::deploy {

namespace {

constexpr auto bank_names
  = std::array<std::string_view, 4>{"sha1", "sha256", "sha384", "sha512"};

constexpr auto level_names
  = std::array<std::string_view, 4>{"error", "warn", "info", "debug"};

template <class Range>
bool contains(const Range& range, std::string_view text) {
  return std::find(range.begin(), range.end(), text) != range.end();
}

} // namespace

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos)
      return parts;
    text.remove_prefix(end + 1);
  }
}

result<tpm_version> parse_tpm_version(std::string_view text) {
  if (text == "1.2")
    return tpm_version::v1_2;
  if (text == "2.0")
    return tpm_version::v2_0;
  return problem{"there is no TPM \"" + std::string{text}
                 + "\": give 1.2 or 2.0"};
}

result<std::vector<std::string>> parse_pcr_banks(std::string_view text) {
  std::vector<std::string> banks;
  for (const auto name : split(text, ',')) {
    if (!contains(bank_names, name))
      return problem{"\"" + std::string{name}
                     + "\" is no PCR bank: give some of sha1, sha256, sha384, "
                       "sha512, separated by commas"};
    if (contains(banks, name))
      return problem{"PCR bank " + std::string{name} + " is given twice"};
    banks.emplace_back(name);
  }
  return banks;
}

result<std::string> parse_log_level(std::string_view text) {
  if (contains(level_names, text))
    return std::string{text};
  return problem{"\"" + std::string{text}
                 + "\" is no log level: give error, warn, info or debug"};
}

} // namespace vtpm::deploy
