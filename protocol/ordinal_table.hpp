#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

#include "protocol/ordinal.hpp"

// What the tables of tpm12_ordinals.cpp and tpm20_ordinals.cpp are made of; for
// ordinal.cpp and them only.

namespace vtpm::protocol::detail {

/// What a table says of one command; combined with `|`.
enum trait : unsigned {
  /// The rule: changes volatile state, fast, neither carries nor opens
  /// sessions.
  none = 0,
  /// By itself it changes nothing that a reset loses.
  reads = 1,
  /// Has an RSA private operation, makes a key, or tests the algorithms.
  slow = 2,
  /// The engine polls its cancel flag meanwhile.
  stops = 4,
  /// May carry sessions, whose nonces roll, or opens one.
  auth = 8,
};

/// One command of a table.
struct ordinal_row {
  std::uint32_t ordinal;
  ordinal_attributes attributes;
  /// Like `attributes.changes_volatile`, for a command that carries no session.
  bool changes_volatile_alone;

  constexpr ordinal_row(std::uint32_t number, std::string_view name,
                        unsigned traits) noexcept
    : ordinal(number),
      attributes{name, (traits & reads) == 0 || (traits & auth) != 0,
                 (traits & slow) != 0, (traits & stops) != 0,
                 (traits & auth) != 0},
      changes_volatile_alone((traits & reads) == 0) {
    // nop
  }
};

/// Returns whether the lookup may rely on the table.
constexpr bool strictly_ascending(std::span<const ordinal_row> table) {
  return std::adjacent_find(table.begin(), table.end(),
                            [](const auto& left, const auto& right) {
                              return left.ordinal >= right.ordinal;
                            })
    == table.end();
}

/// Returns every command of TPM 1.2, by ascending ordinal.
std::span<const ordinal_row> tpm12_ordinals() noexcept;

/// Returns every command of TPM 2.0, by ascending command code.
std::span<const ordinal_row> tpm20_ordinals() noexcept;

} // namespace vtpm::protocol::detail
