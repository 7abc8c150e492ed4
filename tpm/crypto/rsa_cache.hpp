#pragma once

#include <cstddef>
#include <vector>

#include "tpm/crypto/rsa_key.hpp"

namespace vtpm::tpm {

/// The keys used last, with their factors. Used by one thread at a time.
class rsa_cache {
public:
  /// A TPM 1.2 has twenty key slots, an endorsement key and a storage root key;
  /// a TPM 2.0 has fewer loaded at a time. A key takes some 5 KiB.
  static constexpr std::size_t capacity = 24;

  /// Returns `key` with its factors, or null if they cannot be found. Borrowed
  /// until the next call. The key not asked for the longest makes room.
  RSA* find(const RSA& key);

  /// Wipes all keys.
  void clear() noexcept;

  std::size_t size() const noexcept {
    return keys_.size();
  }

private:
  /// The key asked for last comes first. They are told apart by their numbers
  /// and not by a digest: the first word of the modulus decides, for nothing.
  std::vector<rsa_ptr> keys_;
};

} // namespace vtpm::tpm
