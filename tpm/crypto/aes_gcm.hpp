#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "protocol/bytes.hpp"
#include "tpm/errc.hpp"

namespace vtpm::tpm {

/// AES-256-GCM (NIST SP 800-38D), its algorithm looked up once. Used by one
/// thread at a time. Secret and authentic as long as no key ever meets the same
/// nonce twice; does not hide the length.
class aes_256_gcm {
public:
  static constexpr std::size_t key_size = 32;
  static constexpr std::size_t nonce_size = 12;
  static constexpr std::size_t tag_size = 16;

  using nonce = std::array<std::uint8_t, nonce_size>;
  using tag = std::array<std::uint8_t, tag_size>;

  static result<aes_256_gcm> make();

  /// Encrypts `parts`, one after the other, to `target` and returns the tag
  /// over them and `associated`.
  /// @pre `key` has `key_size` octets; `target` has as many as all parts.
  result<tag> seal(byte_view key, const nonce& iv, byte_view associated,
                   std::span<const byte_view> parts,
                   std::span<std::uint8_t> target);

  /// Decrypts `sealed` to `target` and returns whether it and `associated` are
  /// what was sealed under this key; `target` is wiped if they are not.
  /// @pre `key` has `key_size` octets; `target` has as many as `sealed`.
  result<bool> open(byte_view key, const nonce& iv, byte_view associated,
                    byte_view sealed, const tag& expected,
                    std::span<std::uint8_t> target);

  aes_256_gcm(aes_256_gcm&&) noexcept;
  aes_256_gcm& operator=(aes_256_gcm&&) noexcept;
  ~aes_256_gcm();

private:
  struct impl;
  explicit aes_256_gcm(std::unique_ptr<impl> state) noexcept;
  std::unique_ptr<impl> impl_;
};

} // namespace vtpm::tpm
