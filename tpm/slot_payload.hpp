#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "protocol/bytes.hpp"
#include "tpm/crypto/secret.hpp"
#include "tpm/errc.hpp"
#include "tpm/field_list.hpp"
#include "tpm/snapshot.hpp"

namespace vtpm::tpm {

/// Opens the shadow of this state: whoever can read the state may read the
/// shadow, nobody else.
inline constexpr std::size_t shadow_key_size = 32;

/// What is sealed in a slot: a list of fields, see state_format.md.
struct slot_payload {
  snapshot state;
  secret_bytes shadow_key;
  /// Of a store that somebody counts, see counter_rule.hpp.
  std::optional<std::uint64_t> number;
};

/// The payload's wire form, cut into pieces that need no copy of the secrets.
class encoded_payload {
public:
  /// Borrows the first two for its own life.
  encoded_payload(const snapshot& state, byte_view shadow_key,
                  std::optional<std::uint64_t> number) noexcept;

  encoded_payload(const encoded_payload&) = delete;
  encoded_payload& operator=(const encoded_payload&) = delete;

  std::span<const byte_view> parts() const noexcept {
    return std::span{parts_}.first(count_);
  }

  std::size_t size() const noexcept;

private:
  std::array<field_header, 4> headers_;
  std::array<std::uint8_t, sizeof(std::uint64_t)> number_;
  std::array<byte_view, 8> parts_;
  std::size_t count_ = 0;
};

/// Reads a payload. Everything that a key of ours has sealed decodes, unless a
/// later version wrote it or its author had the key and no sense.
result<slot_payload> decode_payload(byte_view plain);

} // namespace vtpm::tpm
