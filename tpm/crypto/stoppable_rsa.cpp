// RSA methods are deprecated in OpenSSL 3 and have no successor that reaches
// into another library's calls.
#define OPENSSL_API_COMPAT 10100

#include "tpm/crypto/stoppable_rsa.hpp"

#include <cassert>
#include <memory>

#include <openssl/bn.h>
#include <openssl/rsa.h>

namespace vtpm::tpm {

namespace {

/// OpenSSL's callbacks carry no context of ours.
const std::atomic<bool>* stop_flag = nullptr;

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

int go_on(int, int, BN_GENCB*) {
  return stop_flag->load(std::memory_order_relaxed) ? 0 : 1;
}

/// Stands in for the generator of OpenSSL's own method, and calls it.
int generate(RSA* key, int bits, BIGNUM* exponent, BN_GENCB*) {
  const auto callback
    = std::unique_ptr<BN_GENCB, free_callback>{BN_GENCB_new()};
  if (callback == nullptr || RSA_set_method(key, RSA_PKCS1_OpenSSL()) != 1)
    return 0;
  BN_GENCB_set(callback.get(), go_on, nullptr);
  return RSA_generate_key_ex(key, bits, exponent, callback.get());
}

method_ptr make_method() {
  auto method = method_ptr{RSA_meth_dup(RSA_PKCS1_OpenSSL())};
  if (method == nullptr || RSA_meth_set_keygen(method.get(), generate) != 1)
    return nullptr;
  return method;
}

} // namespace

stoppable_rsa::stoppable_rsa(const std::atomic<bool>& stop) noexcept {
  static const auto method = make_method();
  assert(stop_flag == nullptr);
  stop_flag = &stop;
  // Without a method keys are still generated, to the end.
  if (method != nullptr)
    RSA_set_default_method(method.get());
}

stoppable_rsa::~stoppable_rsa() {
  RSA_set_default_method(RSA_PKCS1_OpenSSL());
  stop_flag = nullptr;
}

} // namespace vtpm::tpm
