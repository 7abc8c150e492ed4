#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "protocol/bytes.hpp"
#include "tpm/errc.hpp"

// The list of fields that is sealed in slots and in exports:
//
//     field* ; field := type length value ; 2, 4 and `length` octets
//
// Types mean the same everywhere: do not change the values.

namespace vtpm::tpm {

enum class field_type : std::uint16_t {
  permanent = 1,
  savestate = 2,
  shadow_key = 3,
  number = 4,
  /// Exports only.
  volatile_state = 0x8001,
};

/// Fields from here on may be skipped by who does not know them.
inline constexpr std::uint16_t optional_field_min = 0x8000;

/// Type and length.
using field_header = std::array<std::uint8_t, 2 + 4>;

/// Returns what stands before a value.
field_header encode_field_header(field_type type, std::size_t size) noexcept;

struct field {
  field_type type;
  byte_view value;
};

/// Reads a list that must hold these fields, in the order of their types from
/// 1 on. Skips what may be skipped, but for one type, which may stand anywhere.
class field_reader {
public:
  explicit field_reader(byte_view plain,
                        std::optional<field_type> optional = {}) noexcept
    : rest_(plain), optional_(optional) {
    // nop
  }

  /// Returns the next field, nullopt at the end, or `errc::not_a_state`.
  result<std::optional<field>> next();

private:
  byte_view rest_;
  /// Not seen so far.
  std::optional<field_type> optional_;
  std::uint16_t expected_ = 1;
};

/// Returns the error of a list that is not as it should be.
error malformed_fields(const char* what);

} // namespace vtpm::tpm
