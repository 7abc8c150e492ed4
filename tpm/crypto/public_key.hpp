#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>

#include "protocol/bytes.hpp"
#include "tpm/errc.hpp"

namespace vtpm::tpm {

/// Big-endian, without zeros in front.
struct rsa_public_key {
  byte_vector modulus;
  std::uint32_t exponent;
};

/// The affine coordinates of a point on NIST P-256, big-endian.
struct p256_public_key {
  std::array<std::uint8_t, 32> x;
  std::array<std::uint8_t, 32> y;
};

using public_key = std::variant<rsa_public_key, p256_public_key>;

/// Reads a SubjectPublicKeyInfo in PEM ("BEGIN PUBLIC KEY"). Takes what a TPM
/// can verify with: RSA of 2048 or 3072 bits, and P-256.
result<public_key> parse_public_key(const std::string& pem);

/// An ECDSA signature on P-256: r and s, big-endian.
struct p256_signature {
  std::array<std::uint8_t, 32> r;
  std::array<std::uint8_t, 32> s;
};

/// Reads an ECDSA-Sig-Value (RFC 3279, 2.2.3), as OpenSSL writes it.
result<p256_signature> parse_p256_signature(byte_view der);

} // namespace vtpm::tpm
