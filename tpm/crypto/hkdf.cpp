#include "tpm/crypto/hkdf.hpp"

#include <array>
#include <cassert>
#include <utility>

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "tpm/crypto/openssl_error.hpp"

namespace vtpm::tpm {

namespace {

struct free_openssl {
  void operator()(EVP_KDF* algorithm) const noexcept {
    EVP_KDF_free(algorithm);
  }

  void operator()(EVP_KDF_CTX* context) const noexcept {
    EVP_KDF_CTX_free(context);
  }
};

/// OpenSSL's parameters point to what they only read through non-const
/// pointers.
OSSL_PARAM input(const char* name, byte_view value) noexcept {
  return OSSL_PARAM_construct_octet_string(
    name, const_cast<std::uint8_t*>(value.data()), value.size());
}

} // namespace

struct hkdf_sha256::impl {
  std::unique_ptr<EVP_KDF, free_openssl> algorithm;
  std::unique_ptr<EVP_KDF_CTX, free_openssl> context;
};

hkdf_sha256::hkdf_sha256(std::unique_ptr<impl> state) noexcept
  : impl_(std::move(state)) {
  // nop
}

hkdf_sha256::hkdf_sha256(hkdf_sha256&&) noexcept = default;

hkdf_sha256& hkdf_sha256::operator=(hkdf_sha256&&) noexcept = default;

hkdf_sha256::~hkdf_sha256() = default;

result<hkdf_sha256> hkdf_sha256::make() {
  auto state = std::make_unique<impl>();
  state->algorithm.reset(EVP_KDF_fetch(nullptr, OSSL_KDF_NAME_HKDF, nullptr));
  if (state->algorithm != nullptr)
    state->context.reset(EVP_KDF_CTX_new(state->algorithm.get()));
  char digest[] = "SHA256";
  const auto params = std::array{
    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
    OSSL_PARAM_construct_end()};
  if (state->context == nullptr
      || EVP_KDF_CTX_set_params(state->context.get(), params.data()) != 1)
    return openssl_error("cannot set up HKDF");
  return hkdf_sha256{std::move(state)};
}

result<unit> hkdf_sha256::derive(byte_view secret, byte_view salt,
                                 byte_view info,
                                 std::span<std::uint8_t> target) {
  assert(!secret.empty() && !target.empty());
  const auto params = std::array{
    input(OSSL_KDF_PARAM_KEY, secret), input(OSSL_KDF_PARAM_SALT, salt),
    input(OSSL_KDF_PARAM_INFO, info), OSSL_PARAM_construct_end()};
  if (EVP_KDF_derive(impl_->context.get(), target.data(), target.size(),
                     params.data())
      != 1)
    return openssl_error("HKDF failed");
  return unit{};
}

} // namespace vtpm::tpm
