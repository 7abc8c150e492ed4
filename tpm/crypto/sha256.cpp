#include "tpm/crypto/sha256.hpp"

#include <utility>

#include <openssl/evp.h>

#include "tpm/crypto/openssl_error.hpp"

namespace vtpm::tpm {

namespace {

struct free_openssl {
  void operator()(EVP_MD* algorithm) const noexcept {
    EVP_MD_free(algorithm);
  }

  void operator()(EVP_MD_CTX* context) const noexcept {
    EVP_MD_CTX_free(context);
  }
};

} // namespace

struct sha_256::impl {
  std::unique_ptr<EVP_MD, free_openssl> algorithm;
  std::unique_ptr<EVP_MD_CTX, free_openssl> context;
};

sha_256::sha_256(std::unique_ptr<impl> state) noexcept
  : impl_(std::move(state)) {
  // nop
}

sha_256::sha_256(sha_256&&) noexcept = default;

sha_256& sha_256::operator=(sha_256&&) noexcept = default;

sha_256::~sha_256() = default;

result<sha_256> sha_256::make() {
  auto state = std::make_unique<impl>();
  state->algorithm.reset(EVP_MD_fetch(nullptr, "SHA256", nullptr));
  state->context.reset(EVP_MD_CTX_new());
  if (state->algorithm == nullptr || state->context == nullptr)
    return openssl_error("cannot set up SHA-256");
  return sha_256{std::move(state)};
}

result<sha_256::digest> sha_256::hash(byte_view data) {
  auto* context = impl_->context.get();
  auto out = digest{};
  if (EVP_DigestInit_ex(context, impl_->algorithm.get(), nullptr) != 1
      || EVP_DigestUpdate(context, data.data(), data.size()) != 1
      || EVP_DigestFinal_ex(context, out.data(), nullptr) != 1)
    return openssl_error("SHA-256 failed");
  return out;
}

} // namespace vtpm::tpm
