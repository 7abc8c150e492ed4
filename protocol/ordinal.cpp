#include "protocol/ordinal.hpp"

#include <algorithm>

#include "protocol/big_endian.hpp"
#include "protocol/ordinal_table.hpp"
#include "protocol/tpm_header.hpp"

namespace vtpm::protocol {

namespace {

/// An unknown ordinal: the engine refuses it at once, but who knows.
constexpr detail::ordinal_row unknown{0, "unknown", detail::auth};

/// TPM_TAG_RQU_COMMAND (Part 2, 6) and TPM_ST_NO_SESSIONS (2.0 Part 2, 6.9).
constexpr std::uint16_t plain_tag_1_2 = 0x00C1;
constexpr std::uint16_t plain_tag_2_0 = 0x8001;

/// TPM_CC_StartAuthSession (2.0 Part 2, 6.5.2).
constexpr std::uint32_t start_auth_session = 0x176;

/// TPM_RH_NULL (2.0 Part 2, 7.4).
constexpr std::uint32_t null_handle = 0x40000007;

const detail::ordinal_row& row_of(tpm_version version,
                                  std::uint32_t ordinal) noexcept {
  const auto table = version == tpm_version::v1_2 ? detail::tpm12_ordinals()
                                                  : detail::tpm20_ordinals();
  const auto row = std::ranges::lower_bound(table, ordinal, {},
                                            &detail::ordinal_row::ordinal);
  return row != table.end() && row->ordinal == ordinal ? *row : unknown;
}

/// Returns whether TPM2_StartAuthSession names a tpmKey, its first parameter.
bool names_tpm_key(byte_view command) noexcept {
  return command.size() >= tpm_header::encoded_size + 4
    && load_be<std::uint32_t>(command.data() + tpm_header::encoded_size)
    != null_handle;
}

} // namespace

const ordinal_attributes& attributes_of(tpm_version version,
                                        std::uint32_t ordinal) noexcept {
  return row_of(version, ordinal).attributes;
}

ordinal_attributes attributes_of(tpm_version version,
                                 byte_view command) noexcept {
  if (command.size() < tpm_header::encoded_size)
    return unknown.attributes;
  const auto tag = load_be<std::uint16_t>(command.data());
  const auto ordinal = load_be<std::uint32_t>(command.data() + 6);
  const auto& row = row_of(version, ordinal);
  auto attributes = row.attributes;
  const auto is_1_2 = version == tpm_version::v1_2;
  if (tag == (is_1_2 ? plain_tag_1_2 : plain_tag_2_0))
    attributes.changes_volatile = row.changes_volatile_alone;
  if (!is_1_2 && ordinal == start_auth_session)
    attributes.expensive = names_tpm_key(command);
  return attributes;
}

} // namespace vtpm::protocol
