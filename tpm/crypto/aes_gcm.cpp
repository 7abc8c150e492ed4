#include "tpm/crypto/aes_gcm.hpp"

#include <cassert>
#include <limits>
#include <utility>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "tpm/crypto/openssl_error.hpp"
#include "tpm/crypto/secret.hpp"

namespace vtpm::tpm {

namespace {

struct free_openssl {
  void operator()(EVP_CIPHER* algorithm) const noexcept {
    EVP_CIPHER_free(algorithm);
  }

  void operator()(EVP_CIPHER_CTX* context) const noexcept {
    EVP_CIPHER_CTX_free(context);
  }
};

/// OpenSSL counts in `int`.
int length_of(byte_view data) noexcept {
  assert(data.size() <= std::numeric_limits<int>::max());
  return static_cast<int>(data.size());
}

/// A null target makes OpenSSL take the input as associated data, so an empty
/// part must not pass one by accident.
bool update(EVP_CIPHER_CTX* context, std::uint8_t* target, byte_view input) {
  auto written = 0;
  return input.empty()
    || EVP_CipherUpdate(context, target, &written, input.data(),
                        length_of(input))
    == 1;
}

/// Nothing is left to come out of a counter mode at the end, but OpenSSL wants
/// somewhere to put it.
bool finish(EVP_CIPHER_CTX* context) {
  auto rest = std::array<std::uint8_t, EVP_MAX_BLOCK_LENGTH>{};
  auto rest_size = 0;
  return EVP_CipherFinal_ex(context, rest.data(), &rest_size) == 1;
}

} // namespace

struct aes_256_gcm::impl {
  std::unique_ptr<EVP_CIPHER, free_openssl> algorithm;
  std::unique_ptr<EVP_CIPHER_CTX, free_openssl> context;

  /// Sets key and nonce and takes in the associated data.
  bool start(byte_view key, const nonce& iv, byte_view associated,
             bool encrypt) {
    assert(key.size() == key_size);
    return EVP_CipherInit_ex2(context.get(), algorithm.get(), key.data(),
                              iv.data(), encrypt ? 1 : 0, nullptr)
      == 1
      && update(context.get(), nullptr, associated);
  }
};

aes_256_gcm::aes_256_gcm(std::unique_ptr<impl> state) noexcept
  : impl_(std::move(state)) {
  // nop
}

aes_256_gcm::aes_256_gcm(aes_256_gcm&&) noexcept = default;

aes_256_gcm& aes_256_gcm::operator=(aes_256_gcm&&) noexcept = default;

aes_256_gcm::~aes_256_gcm() = default;

result<aes_256_gcm> aes_256_gcm::make() {
  auto state = std::make_unique<impl>();
  state->algorithm.reset(EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr));
  state->context.reset(EVP_CIPHER_CTX_new());
  if (state->algorithm == nullptr || state->context == nullptr)
    return openssl_error("cannot set up AES-256-GCM");
  return aes_256_gcm{std::move(state)};
}

result<aes_256_gcm::tag> aes_256_gcm::seal(byte_view key, const nonce& iv,
                                           byte_view associated,
                                           std::span<const byte_view> parts,
                                           std::span<std::uint8_t> target) {
  auto* context = impl_->context.get();
  auto ok = impl_->start(key, iv, associated, true);
  for (const auto& part : parts) {
    assert(part.size() <= target.size());
    ok = ok && update(context, target.data(), part);
    target = target.subspan(part.size());
  }
  assert(target.empty());
  auto out = tag{};
  if (!ok || !finish(context)
      || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, tag_size,
                             out.data())
        != 1)
    return openssl_error("AES-256-GCM encryption failed");
  return out;
}

result<bool> aes_256_gcm::open(byte_view key, const nonce& iv,
                               byte_view associated, byte_view sealed,
                               const tag& expected,
                               std::span<std::uint8_t> target) {
  assert(target.size() == sealed.size());
  auto* context = impl_->context.get();
  auto copy = expected;
  if (!impl_->start(key, iv, associated, false)
      || !update(context, target.data(), sealed)
      || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tag_size,
                             copy.data())
        != 1) {
    wipe(target.data(), target.size());
    return openssl_error("AES-256-GCM decryption failed");
  }
  const auto authentic = finish(context);
  if (!authentic) {
    wipe(target.data(), target.size());
    ERR_clear_error();
  }
  return authentic;
}

} // namespace vtpm::tpm
