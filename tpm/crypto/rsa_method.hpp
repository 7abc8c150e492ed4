#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "tpm/crypto/key_pool.hpp"

namespace vtpm::tpm {

/// What became of the requests for a key that the pool could have met.
struct key_pool_figures {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
};

/// While one of these lives, OpenSSL does RSA our way for whoever calls it in
/// this process, a library that gives us no say in it included:
///
/// - Private operations use the factors of the modulus, found once per key and
///   kept for the keys used last.
/// - Keys of 2048 bits and exponent 65537 come from a pool while it has any.
/// - The generation of other keys looks at a flag as it goes, and fails once
///   the flag is set.
///
/// This is OpenSSL's own extension point, an RSA_METHOD set as the default.
/// Symbols of our own in front of libcrypto's would reach the same calls, but
/// only as long as all of us are linked dynamically and in the right order, and
/// nobody would tell us when they stop reaching them.
class rsa_method {
public:
  /// Without a pool.
  /// @pre No other one lives, and no other thread uses RSA until this one is
  ///      constructed, or while it is destroyed.
  explicit rsa_method(const std::atomic<bool>& stop);

  ~rsa_method();

  rsa_method(const rsa_method&) = delete;
  rsa_method& operator=(const rsa_method&) = delete;

  /// Keeps `count` keys ready from now on.
  /// @pre `count` is not zero, and this has not been called before.
  void start_pool(std::size_t count, pool_pace pace);

  /// Waits until the pool is full. Returns false where it cannot be filled.
  bool wait_for_pool();

  key_pool_figures figures() const noexcept;

  /// Wipes the factors of all keys.
  void forget() noexcept;

  /// While one of these lives, the first RSA-2048 key with exponent 65537 that
  /// anyone asks for is not made but the published one in self_test_key.cpp.
  /// For the self-test of a TPM 1.2, which makes a key, tries it and throws it
  /// away, and for nothing else.
  class self_test {
  public:
    explicit self_test(rsa_method& method) noexcept;

    ~self_test();

    self_test(const self_test&) = delete;
    self_test& operator=(const self_test&) = delete;

  private:
    rsa_method& method_;
  };

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace vtpm::tpm
