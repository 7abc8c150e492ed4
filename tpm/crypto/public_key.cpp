#include "tpm/crypto/public_key.hpp"

#include <memory>
#include <string_view>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "tpm/crypto/openssl_error.hpp"

namespace vtpm::tpm {

namespace {

template <auto Free>
struct freed_by {
  template <class T>
  void operator()(T* pointer) const noexcept {
    Free(pointer);
  }
};

using bio_ptr = std::unique_ptr<BIO, freed_by<&BIO_free>>;
using pkey_ptr = std::unique_ptr<EVP_PKEY, freed_by<&EVP_PKEY_free>>;
using number_ptr = std::unique_ptr<BIGNUM, freed_by<&BN_free>>;
using signature_ptr = std::unique_ptr<ECDSA_SIG, freed_by<&ECDSA_SIG_free>>;

constexpr std::size_t pem_size_max = 16 * 1024;

number_ptr parameter(const EVP_PKEY* key, const char* name) {
  BIGNUM* out = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &out) != 1)
    return nullptr;
  return number_ptr{out};
}

error unsupported(const char* why) {
  return {errc::unusable,
          std::string{"a TPM cannot verify with this public key: "} + why
            + "; make one with openssl genpkey -algorithm EC -pkeyopt "
              "ec_paramgen_curve:P-256"};
}

result<public_key> rsa_of(const EVP_PKEY* key) {
  const auto n = parameter(key, OSSL_PKEY_PARAM_RSA_N);
  const auto e = parameter(key, OSSL_PKEY_PARAM_RSA_E);
  if (!n || !e)
    return openssl_error("cannot read the RSA key");
  const auto bits = BN_num_bits(n.get());
  if ((bits != 2048 && bits != 3072) || BN_num_bits(e.get()) > 32)
    return unsupported("an RSA key needs 2048 or 3072 bits");
  auto out = rsa_public_key{};
  out.modulus.resize(static_cast<std::size_t>(bits) / 8);
  BN_bn2bin(n.get(), out.modulus.data());
  out.exponent = static_cast<std::uint32_t>(BN_get_word(e.get()));
  return public_key{std::move(out)};
}

result<public_key> p256_of(const EVP_PKEY* key) {
  auto group = std::array<char, 64>{};
  if (EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) != 1
      || std::string_view{group.data()} != "prime256v1")
    return unsupported("its curve is not P-256");
  const auto x = parameter(key, OSSL_PKEY_PARAM_EC_PUB_X);
  const auto y = parameter(key, OSSL_PKEY_PARAM_EC_PUB_Y);
  auto out = p256_public_key{};
  if (!x || !y || BN_bn2binpad(x.get(), out.x.data(), 32) != 32
      || BN_bn2binpad(y.get(), out.y.data(), 32) != 32)
    return openssl_error("cannot read the P-256 key");
  return public_key{out};
}

} // namespace

result<public_key> parse_public_key(const std::string& pem) {
  if (pem.size() > pem_size_max)
    return unsupported("it is too long");
  const bio_ptr source{
    BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
  if (!source)
    return openssl_error("cannot read the public key");
  const pkey_ptr key{
    PEM_read_bio_PUBKEY(source.get(), nullptr, nullptr, nullptr)};
  if (!key)
    return error{
      errc::unusable,
      openssl_error("not a public key in PEM, write one with openssl "
                    "pkey -pubout")
        .detail};
  switch (EVP_PKEY_get_base_id(key.get())) {
    case EVP_PKEY_RSA:
      return rsa_of(key.get());
    case EVP_PKEY_EC:
      return p256_of(key.get());
    default:
      return unsupported("it is neither RSA nor P-256");
  }
}

result<p256_signature> parse_p256_signature(byte_view der) {
  const auto* at = der.data();
  const signature_ptr parsed{
    d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()))};
  auto out = p256_signature{};
  if (!parsed || at != der.data() + der.size()
      || BN_bn2binpad(ECDSA_SIG_get0_r(parsed.get()), out.r.data(), 32) != 32
      || BN_bn2binpad(ECDSA_SIG_get0_s(parsed.get()), out.s.data(), 32) != 32)
    return error{errc::unusable,
                 openssl_error("not an ECDSA signature on P-256").detail};
  return out;
}

} // namespace vtpm::tpm
