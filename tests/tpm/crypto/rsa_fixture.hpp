#pragma once

// RSA_* are deprecated in OpenSSL 3, and what libtpms calls.
#define OPENSSL_API_COMPAT 10100

#include <array>
#include <memory>

#include <doctest/doctest.h>
#include <openssl/bn.h>
#include <openssl/rsa.h>

#include "protocol/bytes.hpp"
#include "tpm/crypto/rsa_key.hpp"

namespace vtpm::tests {

struct free_number {
  void operator()(BIGNUM* value) const noexcept {
    BN_clear_free(value);
  }

  void operator()(BN_CTX* scratch) const noexcept {
    BN_CTX_free(scratch);
  }
};

using number = std::unique_ptr<BIGNUM, free_number>;
using scratch_space = std::unique_ptr<BN_CTX, free_number>;

/// Asks OpenSSL for a key as libtpms does; null if there is none.
inline tpm::rsa_ptr generate_rsa(int bits = 2048,
                                 unsigned long exponent = RSA_F4) {
  auto key = tpm::rsa_ptr{RSA_new()};
  const auto e = number{BN_new()};
  REQUIRE(BN_set_word(e.get(), exponent) == 1);
  if (RSA_generate_key_ex(key.get(), bits, e.get(), nullptr) != 1)
    return nullptr;
  return key;
}

/// Returns the key of these numbers, by the default method, as libtpms makes
/// one for each operation.
inline tpm::rsa_ptr key_of(const BIGNUM* n, const BIGNUM* e, const BIGNUM* d) {
  auto key = tpm::rsa_ptr{RSA_new()};
  REQUIRE(RSA_set0_key(key.get(), BN_dup(n), BN_dup(e), BN_dup(d)) == 1);
  return key;
}

/// The same key, by the default method, without its factors.
inline tpm::rsa_ptr bare(const RSA& key) {
  return key_of(RSA_get0_n(&key), RSA_get0_e(&key), RSA_get0_d(&key));
}

/// The same key with another d.
inline tpm::rsa_ptr with_d(const RSA& key, const BIGNUM* d) {
  return key_of(RSA_get0_n(&key), RSA_get0_e(&key), d);
}

/// Some number below any modulus of the same size.
inline byte_vector some_input(const RSA& key) {
  auto input = byte_vector(static_cast<std::size_t>(RSA_size(&key)), 0x5A);
  input.front() = 0;
  return input;
}

/// Returns the input to the power of d, or nothing on failure.
inline byte_vector raise_to_d(RSA& key, const byte_vector& input) {
  auto output = byte_vector(input.size());
  const auto size
    = RSA_private_encrypt(static_cast<int>(input.size()), input.data(),
                          output.data(), &key, RSA_NO_PADDING);
  if (size != static_cast<int>(input.size()))
    return {};
  return output;
}

/// Returns the input to the power of e.
inline byte_vector raise_to_e(RSA& key, const byte_vector& input) {
  auto output = byte_vector(input.size());
  REQUIRE(RSA_public_decrypt(static_cast<int>(input.size()), input.data(),
                             output.data(), &key, RSA_NO_PADDING)
          == static_cast<int>(input.size()));
  return output;
}

} // namespace vtpm::tests
