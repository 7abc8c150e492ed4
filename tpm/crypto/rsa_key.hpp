#pragma once

#include <memory>

#include <openssl/types.h>

// RSA keys as OpenSSL has them. For tpm/crypto and its tests only.

namespace vtpm::tpm {

struct free_rsa {
  void operator()(RSA* key) const noexcept;
};

/// A key whose secret parts are wiped when it goes. The process locks its
/// memory, see `secret_bytes`.
using rsa_ptr = std::unique_ptr<RSA, free_rsa>;

/// Returns a key that OpenSSL's own method works on, whatever the default
/// method is. It has no numbers yet. Null when memory is short.
rsa_ptr make_plain_rsa();

/// Returns `key` with the factors of its modulus, found from its n, e and d, so
/// that OpenSSL computes with the Chinese remainder theorem, some eight times
/// as fast. Null if `key` has no d, one that is no inverse of e, or one of the
/// few that do not give the factors away in a few tries.
///
/// A key from here is as safe against faults as one without factors: OpenSSL
/// raises each result to e, and computes it again from d when that does not
/// give the input back.
rsa_ptr with_factors(const RSA& key);

/// Returns the key that has these factors and the public exponent 65537; null
/// when memory is short.
rsa_ptr from_factors(const BIGNUM& p, const BIGNUM& q);

/// Makes `target` the same key as `source`, which has its factors. Returns
/// false when memory is short.
bool copy_key(RSA& target, const RSA& source);

/// Returns whether both have the same n, e and d.
bool same_key(const RSA& left, const RSA& right) noexcept;

} // namespace vtpm::tpm
