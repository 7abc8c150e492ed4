#pragma once

#include <memory>
#include <span>

#include "protocol/bytes.hpp"
#include "tpm/errc.hpp"

namespace vtpm::tpm {

/// HKDF with SHA-256 (RFC 5869), its algorithm looked up once. Used by one
/// thread at a time.
class hkdf_sha256 {
public:
  static result<hkdf_sha256> make();

  /// Fills `target` with key material that is as secret as `secret`, and
  /// independent of it for anyone who does not know it.
  /// @param salt Need not be secret; empty stands for none.
  /// @param info Names the use: another `info` gives unrelated octets. At most
  ///             1024 octets, a bound of OpenSSL's.
  /// @pre `secret` and `target` are not empty; `target` has at most 255 * 32
  ///      octets.
  result<unit> derive(byte_view secret, byte_view salt, byte_view info,
                      std::span<std::uint8_t> target);

  hkdf_sha256(hkdf_sha256&&) noexcept;
  hkdf_sha256& operator=(hkdf_sha256&&) noexcept;
  ~hkdf_sha256();

private:
  struct impl;
  explicit hkdf_sha256(std::unique_ptr<impl> state) noexcept;
  std::unique_ptr<impl> impl_;
};

} // namespace vtpm::tpm
