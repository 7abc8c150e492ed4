#pragma once

#include <array>
#include <cstdint>
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
};

/// The payload's wire form, cut into pieces that need no copy of the secrets.
class encoded_payload {
public:
  /// Borrows both for its own life.
  encoded_payload(const snapshot& state, byte_view shadow_key) noexcept;

  encoded_payload(const encoded_payload&) = delete;
  encoded_payload& operator=(const encoded_payload&) = delete;

  std::span<const byte_view> parts() const noexcept {
    return parts_;
  }

  std::size_t size() const noexcept;

private:
  std::array<field_header, 3> headers_;
  std::array<byte_view, 6> parts_;
};

/// Reads a payload. Everything that a key of ours has sealed decodes, unless a
/// later version wrote it or its author had the key and no sense.
result<slot_payload> decode_payload(byte_view plain);

} // namespace vtpm::tpm
