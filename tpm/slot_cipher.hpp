#pragma once

#include <optional>

#include "tpm/crypto/hkdf.hpp"
#include "tpm/crypto/sha256.hpp"
#include "tpm/slot_format.hpp"

namespace vtpm::tpm {

/// What seals slots and opens them, the algorithms looked up once. Used by one
/// thread at a time.
class slot_cipher {
public:
  static result<slot_cipher> make();

  /// Derives the key of one writing of one slot.
  result<secret_bytes> derive_key(byte_view secret, unsigned slot,
                                  const slot_header& header);

  /// Encrypts a payload; returns the tag for `header`.
  /// @pre `target` has as many octets as all parts, and so says `header`.
  result<aes_256_gcm::tag> seal(byte_view key, unsigned slot,
                                const slot_header& header,
                                std::span<const byte_view> parts,
                                std::span<std::uint8_t> target);

  /// Decrypts an intact slot; nullopt when this is not its key.
  result<std::optional<secret_bytes>> open(byte_view key, unsigned slot,
                                           const slot_header& header,
                                           byte_view octets);

  /// Returns the digest that a key record has of an image.
  result<sha_256::digest> digest(byte_view image);

private:
  slot_cipher(hkdf_sha256 hkdf, aes_256_gcm gcm, sha_256 sha) noexcept;

  hkdf_sha256 hkdf_;
  aes_256_gcm gcm_;
  sha_256 sha_;
};

} // namespace vtpm::tpm
