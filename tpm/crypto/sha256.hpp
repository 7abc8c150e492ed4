#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "protocol/bytes.hpp"
#include "tpm/errc.hpp"

namespace vtpm::tpm {

/// SHA-256 (FIPS 180-4), its algorithm looked up once. Used by one thread at a
/// time.
class sha_256 {
public:
  static constexpr std::size_t digest_size = 32;

  using digest = std::array<std::uint8_t, digest_size>;

  static result<sha_256> make();

  /// Returns the digest of `data`.
  result<digest> hash(byte_view data);

  sha_256(sha_256&&) noexcept;
  sha_256& operator=(sha_256&&) noexcept;
  ~sha_256();

private:
  struct impl;
  explicit sha_256(std::unique_ptr<impl> state) noexcept;
  std::unique_ptr<impl> impl_;
};

} // namespace vtpm::tpm
