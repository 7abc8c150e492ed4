// See tpm/crypto/rsa_key.cpp.
#define OPENSSL_API_COMPAT 10100

#include "tpm/crypto/rsa_method.hpp"

#include <cassert>
#include <utility>

#include <openssl/bn.h>
#include <openssl/rsa.h>

#include "protocol/log.hpp"
#include "tpm/crypto/rsa_cache.hpp"
#include "tpm/crypto/self_test_key.hpp"

namespace vtpm::tpm {

namespace {

struct free_callback {
  void operator()(BN_GENCB* callback) const noexcept {
    BN_GENCB_free(callback);
  }
};

struct free_method {
  void operator()(RSA_METHOD* method) const noexcept {
    RSA_meth_free(method);
  }
};

using method_ptr = std::unique_ptr<RSA_METHOD, free_method>;

/// Returns whether the pool and the self-test have keys like this.
bool is_usual(int bits, const BIGNUM* exponent) noexcept {
  return bits == 2048 && BN_is_word(exponent, RSA_F4);
}

} // namespace

struct rsa_method::impl {
  explicit impl(const std::atomic<bool>& flag) : stop(flag) {
    // nop
  }

  /// OpenSSL's callbacks carry no context of ours.
  static impl* active;

  static int go_on(int, int, BN_GENCB*) {
    return active->stop.load(std::memory_order_relaxed) ? 0 : 1;
  }

  static int generate(RSA* key, int bits, BIGNUM* exponent, BN_GENCB*) {
    return active->generate_key(key, bits, exponent) ? 1 : 0;
  }

  static int private_encrypt(int size, const unsigned char* from,
                             unsigned char* to, RSA* key, int padding) {
    if (auto* fast = active->cache.find(*key))
      return RSA_private_encrypt(size, from, to, fast, padding);
    return RSA_meth_get_priv_enc(RSA_PKCS1_OpenSSL())(size, from, to, key,
                                                      padding);
  }

  static int private_decrypt(int size, const unsigned char* from,
                             unsigned char* to, RSA* key, int padding) {
    if (auto* fast = active->cache.find(*key))
      return RSA_private_decrypt(size, from, to, fast, padding);
    return RSA_meth_get_priv_dec(RSA_PKCS1_OpenSSL())(size, from, to, key,
                                                      padding);
  }

  static method_ptr make_method() {
    auto method = method_ptr{RSA_meth_dup(RSA_PKCS1_OpenSSL())};
    if (method == nullptr || RSA_meth_set_keygen(method.get(), generate) != 1
        || RSA_meth_set_priv_enc(method.get(), private_encrypt) != 1
        || RSA_meth_set_priv_dec(method.get(), private_decrypt) != 1)
      return nullptr;
    return method;
  }

  bool generate_key(RSA* key, int bits, BIGNUM* exponent) {
    if (is_usual(bits, exponent)) {
      if (std::exchange(testing, false))
        if (const auto published = make_self_test_key())
          return copy_key(*key, *published);
      if (pool != nullptr) {
        if (const auto ready = pool->take()) {
          hits.fetch_add(1, std::memory_order_relaxed);
          return copy_key(*key, *ready);
        }
        misses.fetch_add(1, std::memory_order_relaxed);
      }
    }
    // As OpenSSL's own method does it, but for the callback.
    const auto callback
      = std::unique_ptr<BN_GENCB, free_callback>{BN_GENCB_new()};
    if (callback == nullptr || RSA_set_method(key, RSA_PKCS1_OpenSSL()) != 1)
      return false;
    BN_GENCB_set(callback.get(), go_on, nullptr);
    return RSA_generate_key_ex(key, bits, exponent, callback.get()) == 1;
  }

  const std::atomic<bool>& stop;
  /// The next key is the self-test's.
  bool testing = false;
  rsa_cache cache;
  std::unique_ptr<key_pool> pool;
  std::atomic<std::uint64_t> hits = 0;
  std::atomic<std::uint64_t> misses = 0;
};

rsa_method::impl* rsa_method::impl::active = nullptr;

rsa_method::rsa_method(const std::atomic<bool>& stop)
  : impl_(std::make_unique<impl>(stop)) {
  static const auto method = impl::make_method();
  assert(impl::active == nullptr);
  impl::active = impl_.get();
  // Without a method everything works, slower and to its end.
  if (method != nullptr)
    RSA_set_default_method(method.get());
}

rsa_method::~rsa_method() {
  if (impl_->pool != nullptr)
    log().info("key pool: {} keys given away, {} requests found it empty",
               impl_->hits.load(), impl_->misses.load());
  impl_->pool.reset();
  RSA_set_default_method(RSA_PKCS1_OpenSSL());
  impl::active = nullptr;
}

void rsa_method::start_pool(std::size_t count, pool_pace pace) {
  assert(impl_->pool == nullptr);
  impl_->pool = std::make_unique<key_pool>(count, pace);
}

bool rsa_method::wait_for_pool() {
  return impl_->pool != nullptr && impl_->pool->wait_until_full();
}

key_pool_figures rsa_method::figures() const noexcept {
  return {impl_->hits.load(std::memory_order_relaxed),
          impl_->misses.load(std::memory_order_relaxed)};
}

void rsa_method::forget() noexcept {
  impl_->cache.clear();
}

rsa_method::self_test::self_test(rsa_method& method) noexcept
  : method_(method) {
  method_.impl_->testing = true;
}

rsa_method::self_test::~self_test() {
  method_.impl_->testing = false;
}

} // namespace vtpm::tpm
