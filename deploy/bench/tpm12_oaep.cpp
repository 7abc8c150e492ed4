#include "deploy/bench/tpm12_oaep.hpp"

#include <array>
#include <memory>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

namespace vtpm::deploy::tpm12 {

namespace {

template <auto Free>
struct free_with {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};

using key_ptr = std::unique_ptr<EVP_PKEY, free_with<EVP_PKEY_free>>;
using key_context = std::unique_ptr<EVP_PKEY_CTX, free_with<EVP_PKEY_CTX_free>>;
using number = std::unique_ptr<BIGNUM, free_with<BN_free>>;
using parameter_builder
  = std::unique_ptr<OSSL_PARAM_BLD, free_with<OSSL_PARAM_BLD_free>>;
using parameters = std::unique_ptr<OSSL_PARAM, free_with<OSSL_PARAM_free>>;

/// Returns null when OpenSSL refuses.
key_ptr public_key(byte_view modulus) {
  constexpr unsigned exponent = 65537;
  const number n{
    BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr)};
  const parameter_builder builder{OSSL_PARAM_BLD_new()};
  if (!n || !builder
      || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get())
        != 1
      || OSSL_PARAM_BLD_push_uint(builder.get(), OSSL_PKEY_PARAM_RSA_E,
                                  exponent)
        != 1)
    return nullptr;
  const parameters given{OSSL_PARAM_BLD_to_param(builder.get())};
  const key_context context{
    EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr)};
  EVP_PKEY* key = nullptr;
  if (!given || !context || EVP_PKEY_fromdata_init(context.get()) != 1
      || EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY,
                           given.get())
        != 1)
    return nullptr;
  return key_ptr{key};
}

} // namespace

result<byte_vector> encrypt_oaep(byte_view modulus, byte_view secret) {
  auto label = std::array<char, 4>{'T', 'C', 'P', 'A'};
  auto mode = std::string{OSSL_PKEY_RSA_PAD_MODE_OAEP};
  // Without a digest named, OAEP's own default is SHA-1.
  const OSSL_PARAM settings[] = {
    OSSL_PARAM_construct_utf8_string(OSSL_ASYM_CIPHER_PARAM_PAD_MODE,
                                     mode.data(), mode.size()),
    OSSL_PARAM_construct_octet_string(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL,
                                      label.data(), label.size()),
    OSSL_PARAM_construct_end(),
  };
  const auto key = public_key(modulus);
  const key_context context{key ? EVP_PKEY_CTX_new(key.get(), nullptr)
                                : nullptr};
  byte_vector out(modulus.size());
  auto size = out.size();
  if (!context || EVP_PKEY_encrypt_init_ex(context.get(), settings) != 1
      || EVP_PKEY_encrypt(context.get(), out.data(), &size, secret.data(),
                          secret.size())
        != 1)
    return problem{"cannot encrypt under the endorsement key"};
  return out;
}

} // namespace vtpm::deploy::tpm12
