#include "tpm/hardware/pcr_selection.hpp"

#include <charconv>
#include <optional>

namespace vtpm::tpm {

namespace {

constexpr pcr_bank banks[]
  = {pcr_bank::sha1, pcr_bank::sha256, pcr_bank::sha384, pcr_bank::sha512};

error unusable(std::string_view text) {
  return {errc::unusable,
          "\"" + std::string{text}
            + "\" does not name PCRs: write it as sha256:0,2,4-7"};
}

std::optional<pcr_bank> bank_named(std::string_view name) noexcept {
  for (const auto bank : banks)
    if (name == to_string(bank))
      return bank;
  return std::nullopt;
}

std::optional<unsigned> parse_index(std::string_view text) noexcept {
  auto index = 0u;
  const auto* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, index);
  if (failure != std::errc{} || stop != end || index >= pcr_count)
    return std::nullopt;
  return index;
}

/// Reads "4" or "4-7".
std::optional<std::uint32_t> parse_range(std::string_view text) noexcept {
  const auto dash = text.find('-');
  const auto first = parse_index(text.substr(0, dash));
  const auto last
    = dash == text.npos ? first : parse_index(text.substr(dash + 1));
  if (!first || !last || *first > *last)
    return std::nullopt;
  std::uint32_t mask = 0;
  for (auto index = *first; index <= *last; ++index)
    mask |= std::uint32_t{1} << index;
  return mask;
}

} // namespace

const char* to_string(pcr_bank bank) noexcept {
  switch (bank) {
    case pcr_bank::sha1:
      return "sha1";
    case pcr_bank::sha256:
      return "sha256";
    case pcr_bank::sha384:
      return "sha384";
    case pcr_bank::sha512:
      return "sha512";
  }
  return "unknown bank";
}

std::size_t digest_size(pcr_bank bank) noexcept {
  switch (bank) {
    case pcr_bank::sha1:
      return 20;
    case pcr_bank::sha256:
      return 32;
    case pcr_bank::sha384:
      return 48;
    case pcr_bank::sha512:
      return 64;
  }
  return 0;
}

result<pcr_selection> parse_pcr_selection(std::string_view text) {
  const auto colon = text.find(':');
  const auto bank = bank_named(text.substr(0, colon));
  if (!bank || colon == text.npos)
    return unusable(text);
  auto out = pcr_selection{*bank, 0};
  auto rest = text.substr(colon + 1);
  for (;;) {
    const auto comma = rest.find(',');
    const auto range = parse_range(rest.substr(0, comma));
    if (!range)
      return unusable(text);
    out.mask |= *range;
    if (comma == rest.npos)
      return out;
    rest.remove_prefix(comma + 1);
  }
}

std::string to_string(const pcr_selection& pcrs) {
  auto out = std::string{to_string(pcrs.bank)};
  auto separator = ':';
  for (auto index = 0u; index < pcr_count; ++index)
    if ((pcrs.mask >> index & 1) != 0) {
      out += separator + std::to_string(index);
      separator = ',';
    }
  return out;
}

} // namespace vtpm::tpm
