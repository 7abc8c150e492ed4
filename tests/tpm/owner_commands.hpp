#pragma once

#include <memory>
#include <string>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "tests/tpm/engine_commands.hpp"
#include "tests/tpm/engine_fixture.hpp"

// What a software stack does to use a TPM 1.2, with the well-known secret
// everywhere and a session per command (TPM Main Part 1, 13; Part 3, 6).

namespace vtpm::tests {

struct free_openssl {
  void operator()(EVP_PKEY* key) const noexcept {
    EVP_PKEY_free(key);
  }
  void operator()(EVP_PKEY_CTX* context) const noexcept {
    EVP_PKEY_CTX_free(context);
  }
  void operator()(BIGNUM* number) const noexcept {
    BN_free(number);
  }
};

template <class T>
using openssl_ptr = std::unique_ptr<T, free_openssl>;

/// Twenty zero octets: both secrets, and the client's nonces.
inline const auto zeros = std::string(40, '0');

inline const auto read_pubek = tpm12("0000007c" + zeros);
inline const auto start_oiap = tpm12("0000000a");

/// TPM_KEY of a storage root key: RSA-2048, OAEP, no PCRs, not made yet.
inline const auto srk_template
  = std::string{"01010000 0011 00000000 01"
                "00000001 0003 0001 0000000c 00000800 00000002 00000000"
                "00000000 00000000 00000000"};

/// Returns an RSA public key with exponent 65537.
inline openssl_ptr<EVP_PKEY> public_key(byte_view modulus) {
  auto n = openssl_ptr<BIGNUM>{
    BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr)};
  auto* builder = OSSL_PARAM_BLD_new();
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n.get());
  OSSL_PARAM_BLD_push_uint(builder, OSSL_PKEY_PARAM_RSA_E, 65537);
  auto* parameters = OSSL_PARAM_BLD_to_param(builder);
  auto context = openssl_ptr<EVP_PKEY_CTX>{
    EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr)};
  EVP_PKEY* key = nullptr;
  EVP_PKEY_fromdata_init(context.get());
  EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters);
  OSSL_PARAM_free(parameters);
  OSSL_PARAM_BLD_free(builder);
  REQUIRE(key != nullptr);
  return openssl_ptr<EVP_PKEY>{key};
}

/// Returns an RSA-2048 modulus that is at `offset` of a response.
inline byte_vector modulus_at(byte_view response, std::size_t offset) {
  REQUIRE(response.size() >= offset + 256);
  const auto modulus = response.subspan(offset, 256);
  return {modulus.begin(), modulus.end()};
}

/// RSAES-OAEP with SHA-1, MGF1 and label "TCPA" (TPM Main Part 1, 31.1.1).
inline std::string encrypt(EVP_PKEY* key, byte_view secret) {
  auto context = openssl_ptr<EVP_PKEY_CTX>{EVP_PKEY_CTX_new(key, nullptr)};
  EVP_PKEY_encrypt_init(context.get());
  EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING);
  EVP_PKEY_CTX_set0_rsa_oaep_label(context.get(), OPENSSL_strdup("TCPA"), 4);
  auto out = byte_vector(256);
  auto size = out.size();
  REQUIRE(EVP_PKEY_encrypt(context.get(), out.data(), &size, secret.data(),
                           secret.size())
          == 1);
  REQUIRE(size == out.size());
  return hex(out);
}

inline std::string sha1(byte_view data) {
  auto digest_octets = byte_vector(20);
  EVP_Digest(data.data(), data.size(), digest_octets.data(), nullptr,
             EVP_sha1(), nullptr);
  return hex(digest_octets);
}

inline std::string hmac_sha1(byte_view key, byte_view data) {
  auto digest_octets = byte_vector(20);
  HMAC(EVP_sha1(), key.data(), static_cast<int>(key.size()), data.data(),
       data.size(), digest_octets.data(), nullptr);
  return hex(digest_octets);
}

/// Runs a command of tag TPM_TAG_RQU_AUTH1_COMMAND in a session that the
/// well-known secret opens, of itself and one entity, and closes the session.
/// @param key What the session's authorizations are keyed with.
/// @param session Its handle and the TPM's nonce.
inline std::uint32_t run_in_session(powered_tpm& tpm,
                                    const std::string& ordinal,
                                    const std::string& handles,
                                    const std::string& parameters,
                                    byte_view key, const std::string& session) {
  const auto nonces = session.substr(8, 40) + zeros + "00";
  const auto proof
    = hmac_sha1(key, octets(sha1(octets(ordinal + parameters)) + nonces));
  return tpm.run(packet("00c2",
                        ordinal + handles + parameters + session.substr(0, 8)
                          + zeros + "00" + proof));
}

/// Runs a command under the well-known secret, in a session of its own.
inline std::uint32_t run_authorized(powered_tpm& tpm,
                                    const std::string& ordinal,
                                    const std::string& handles,
                                    const std::string& parameters) {
  REQUIRE(tpm.run(start_oiap) == 0);
  return run_in_session(tpm, ordinal, handles, parameters, octets(zeros),
                        body_of(tpm.response));
}

/// Returns the modulus of the endorsement key of a TPM without an owner.
inline byte_vector endorsement_modulus(powered_tpm& tpm) {
  REQUIRE(tpm.run(read_pubek) == 0);
  return modulus_at(tpm.response, 10 + 28);
}

/// TPM_TakeOwnership; the response has the storage root key.
inline std::uint32_t take_ownership(powered_tpm& tpm) {
  const auto key = public_key(endorsement_modulus(tpm));
  const auto secret = octets(zeros);
  const auto parameters = "0005 00000100" + encrypt(key.get(), secret)
    + "00000100" + encrypt(key.get(), secret) + srk_template;
  return run_authorized(tpm, "0000000d", "", parameters);
}

} // namespace vtpm::tests
