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
  if (state->context == nullptr)
    return openssl_error("cannot set up HKDF");
  return hkdf_sha256{std::move(state)};
}

result<unit> hkdf_sha256::derive(byte_view secret, byte_view salt,
                                 byte_view info,
                                 std::span<std::uint8_t> target) {
  assert(!secret.empty() && !target.empty());
  // No salt is as many zeros as a digest has octets (RFC 5869, 2.2), which
  // OpenSSL refuses to work out itself.
  static constexpr auto no_salt = std::array<std::uint8_t, 32>{};
  char digest[] = "SHA256";
  const auto params = std::array{
    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
    input(OSSL_KDF_PARAM_KEY, secret),
    input(OSSL_KDF_PARAM_SALT, salt.empty() ? byte_view{no_salt} : salt),
    input(OSSL_KDF_PARAM_INFO, info),
    OSSL_PARAM_construct_end(),
  };
  const auto code = EVP_KDF_derive(impl_->context.get(), target.data(),
                                   target.size(), params.data());
  // Wipes the copy of the secret. Not optional: an empty info after a longer
  // one makes OpenSSL 3.0 read what it has freed.
  EVP_KDF_CTX_reset(impl_->context.get());
  if (code != 1)
    return openssl_error("HKDF failed");
  return unit{};
}

} // namespace vtpm::tpm
