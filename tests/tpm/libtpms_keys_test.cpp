// RSA_* are deprecated in OpenSSL 3, and what libtpms calls.
#define OPENSSL_API_COMPAT 10100

// Goal: keys that a TPM uses with our help are right, and its own.
// Method: make keys by commands, and have OpenSSL verify what they sign.

#include <algorithm>

#include <openssl/ec.h>

#include "tests/tpm/owner_commands.hpp"
#include "tpm/crypto/self_test_key.hpp"
#include "tpm/libtpms_library.hpp"

using namespace vtpm;
using namespace vtpm::tests;

namespace {

// -- 1.2 ----------------------------------------------------------------------

/// TPM_KEY of a signing key: RSA-2048, PKCS #1 with SHA-1, no PCRs, not made
/// yet.
const auto signing_template
  = std::string{"01010000 0010 00000000 01"
                "00000001 0001 0002 0000000c 00000800 00000002 00000000"
                "00000000 00000000 00000000"};

const auto srk = std::string{"40000000"};

/// Where a response has a TPM_KEY's modulus: after version, usage, flags, auth
/// usage, parameters of 24 octets, no PCRs and the size.
constexpr auto key_modulus_offset = std::size_t{10 + 11 + 24 + 4 + 4};

/// TPM_CreateWrapKey below the storage root key; returns the TPM_KEY.
std::string create_wrap_key(powered_tpm& tpm) {
  REQUIRE(tpm.run(tpm12("0000000b 0004" + srk + zeros)) == 0);
  const auto session = body_of(tpm.response);
  const auto nonce = session.substr(8, 40);
  const auto key
    = octets(hmac_sha1(octets(zeros), octets(session.substr(48) + zeros)));
  // A secret of zeros, encrypted (TPM Main Part 1, 14.5): the pad itself.
  const auto secret = sha1(octets(hex(key) + nonce));
  REQUIRE(run_in_session(tpm, "0000001f", srk,
                         secret + secret + signing_template, key, session)
          == 0);
  // Before what authorizes the response.
  const auto body = body_of(tpm.response);
  return body.substr(0, body.size() - 2 * (20 + 1 + 20));
}

/// TPM_LoadKey2; returns the handle.
std::string load_key(powered_tpm& tpm, const std::string& key) {
  REQUIRE(run_authorized(tpm, "00000041", srk, key) == 0);
  return body_of(tpm.response).substr(0, 8);
}

bool verifies(EVP_PKEY* key, const EVP_MD* hash, byte_view hashed,
              byte_view signature) {
  const auto context
    = openssl_ptr<EVP_PKEY_CTX>{EVP_PKEY_CTX_new(key, nullptr)};
  return EVP_PKEY_verify_init(context.get()) == 1
    && (hash == nullptr
        || EVP_PKEY_CTX_set_signature_md(context.get(), hash) == 1)
    && EVP_PKEY_verify(context.get(), signature.data(), signature.size(),
                       hashed.data(), hashed.size())
    == 1;
}

// -- the published key --------------------------------------------------------

byte_vector octets_of(const BIGNUM* number) {
  auto result = byte_vector(static_cast<std::size_t>(BN_num_bytes(number)));
  BN_bn2bin(number, result.data());
  return result;
}

/// Returns whether `blob` has a number of the published key in it that makes
/// the whole key, in either order of octets.
bool has_published_key(byte_view blob) {
  const auto key = tpm::make_self_test_key();
  for (const auto* number : {RSA_get0_n(key.get()), RSA_get0_d(key.get()),
                             RSA_get0_p(key.get()), RSA_get0_q(key.get())}) {
    auto wanted = octets_of(number);
    for (auto order = 0; order < 2; ++order) {
      if (std::search(blob.begin(), blob.end(), wanted.begin(), wanted.end())
          != blob.end())
        return true;
      std::reverse(wanted.begin(), wanted.end());
    }
  }
  return false;
}

bool is_published(const byte_vector& modulus) {
  return modulus == octets_of(RSA_get0_n(tpm::make_self_test_key().get()));
}

bool holds_published_key(powered_tpm& tpm) {
  const auto state = tpm->current();
  const auto lost = tpm->volatile_state();
  REQUIRE(lost);
  return has_published_key(state->permanent)
    || has_published_key(state->savestate) || has_published_key(*lost);
}

/// Asks OpenSSL for a key as the library does.
byte_vector modulus_of_new_key() {
  const auto exponent = openssl_ptr<BIGNUM>{BN_new()};
  BN_set_word(exponent.get(), 65537);
  const auto key = tpm::rsa_ptr{RSA_new()};
  REQUIRE(RSA_generate_key_ex(key.get(), 2048, exponent.get(), nullptr) == 1);
  return octets_of(RSA_get0_n(key.get()));
}

// -- 2.0 ----------------------------------------------------------------------

/// TPM2_CreatePrimary in the owner hierarchy: signing keys. They get the first
/// transient handle, 80000000.
const auto create_rsa = tpm20_auth("00000131 40000001",
                                   "0004 0000 0000"
                                   "0016 0001 000b 00040472 0000"
                                   "0010 0010 0800 00000000 0000"
                                   "0000 00000000");
const auto create_ecc = tpm20_auth("00000131 40000001",
                                   "0004 0000 0000"
                                   "0016 0023 000b 00040472 0000"
                                   "0010 0010 0003 0010 0000 0000"
                                   "0000 00000000");

/// Where the response to TPM2_CreatePrimary has the unique part of the public
/// area: after header, handle, parameter size, sizes and what was asked for.
constexpr auto rsa_unique_offset = std::size_t{10 + 4 + 4 + 2 + 20 + 2};
constexpr auto ecc_unique_offset = std::size_t{10 + 4 + 4 + 2 + 18};

const auto sha256_digest = digest + std::string(24, '7');

/// TPM2_Sign of `sha256_digest` by `scheme`, and SHA-256.
byte_vector sign_2_0(const std::string& scheme) {
  return tpm20_auth("0000015d 80000000",
                    "0020" + sha256_digest + scheme
                      + "000b 8024 40000007 0000");
}

/// Where the response to TPM2_Sign has what follows the two algorithms.
constexpr auto signature_offset = std::size_t{10 + 4 + 2 + 2};

/// Returns the P-256 public key of an uncompressed point.
openssl_ptr<EVP_PKEY> ecc_public_key(byte_view point) {
  char curve[] = "P-256";
  auto copy = byte_vector(point.begin(), point.end());
  OSSL_PARAM parameters[] = {
    OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
    OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy.data(),
                                      copy.size()),
    OSSL_PARAM_construct_end(),
  };
  const auto context = openssl_ptr<EVP_PKEY_CTX>{
    EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr)};
  EVP_PKEY* key = nullptr;
  REQUIRE(EVP_PKEY_fromdata_init(context.get()) == 1);
  REQUIRE(
    EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters)
    == 1);
  return openssl_ptr<EVP_PKEY>{key};
}

/// Returns two numbers with their sizes, as a TPM has a signature, the way
/// OpenSSL has it.
byte_vector ecdsa_der(byte_view signature) {
  auto* both = ECDSA_SIG_new();
  BIGNUM* numbers[2] = {};
  for (auto& number : numbers) {
    const auto size = protocol::load_be<std::uint16_t>(signature.data());
    number = BN_bin2bn(signature.data() + 2, size, nullptr);
    signature = signature.subspan(2 + size);
  }
  ECDSA_SIG_set0(both, numbers[0], numbers[1]);
  auto der
    = byte_vector(static_cast<std::size_t>(i2d_ECDSA_SIG(both, nullptr)));
  auto* target = der.data();
  i2d_ECDSA_SIG(both, &target);
  ECDSA_SIG_free(both);
  return der;
}

} // namespace

TEST_SUITE("tpm/libtpms_keys") {
  TEST_CASE("no key of a TPM 1.2 is the published one") {
    const auto fresh = tpm::manufacture_libtpms(tpm_version::v1_2, {});
    REQUIRE(fresh);
    CHECK_FALSE(has_published_key((*fresh)->permanent));
    auto tpm = powered_tpm{tpm_version::v1_2, *fresh};
    CHECK_FALSE(holds_published_key(tpm));
    CHECK_FALSE(is_published(endorsement_modulus(tpm)));
    REQUIRE(take_ownership(tpm) == 0);
    CHECK_FALSE(is_published(modulus_at(tpm.response, key_modulus_offset)));
    for (auto round = 0; round < 2; ++round) {
      const auto key = create_wrap_key(tpm);
      CHECK_FALSE(is_published(modulus_at(tpm.response, key_modulus_offset)));
      load_key(tpm, key);
      CHECK_FALSE(holds_published_key(tpm));
      // Through another TPM_Init, and what the guest can ask of a self-test.
      REQUIRE(tpm->reset(tpm::startup::clear));
      REQUIRE(tpm.run(tpm12("00000050")) == 0);
    }
  }

  TEST_CASE("the published key is out of reach before and after TPM_Init") {
    auto library = tpm::libtpms_library::claim(tpm_version::v1_2);
    REQUIRE(library);
    CHECK_FALSE(is_published(modulus_of_new_key()));
    SUBCASE("of a blank TPM") {
      REQUIRE((*library)->power_on());
    }
    SUBCASE("of one with a state") {
      library->reset();
      const auto state = factory_state(tpm_version::v1_2);
      library = tpm::libtpms_library::claim(tpm_version::v1_2);
      REQUIRE(library);
      (*library)->insert(state);
      REQUIRE((*library)->power_on());
    }
    SUBCASE("that fails") {
      (*library)->insert(std::make_shared<const tpm::snapshot>(
        tpm::snapshot{tpm::secret_bytes(2000, 0xA5), {}}));
      REQUIRE_FALSE((*library)->power_on());
    }
    CHECK_FALSE(is_published(modulus_of_new_key()));
    (*library)->power_off();
    CHECK_FALSE(is_published(modulus_of_new_key()));
  }

  TEST_CASE("what a key of a TPM 1.2 signs can be verified") {
    auto tpm = powered_tpm{tpm_version::v1_2};
    REQUIRE(take_ownership(tpm) == 0);
    const auto blob = create_wrap_key(tpm);
    const auto key = public_key(modulus_at(tpm.response, key_modulus_offset));
    const auto handle = load_key(tpm, blob);
    for (auto round = 0; round < 2; ++round) {
      REQUIRE(run_authorized(tpm, "0000003c", handle, "00000014" + digest)
              == 0);
      CHECK(verifies(key.get(), EVP_sha1(), octets(digest),
                     modulus_at(tpm.response, 10 + 4)));
    }
  }

  TEST_CASE("what an RSA key of a TPM 2.0 signs can be verified") {
    auto tpm = powered_tpm{tpm_version::v2_0};
    REQUIRE(tpm.run(create_rsa) == 0);
    const auto key = public_key(modulus_at(tpm.response, rsa_unique_offset));
    for (auto round = 0; round < 2; ++round) {
      REQUIRE(tpm.run(sign_2_0("0014")) == 0);
      CHECK(verifies(key.get(), EVP_sha256(), octets(sha256_digest),
                     modulus_at(tpm.response, signature_offset + 2)));
    }
  }

  TEST_CASE("what an ECC key of a TPM 2.0 signs can be verified") {
    auto tpm = powered_tpm{tpm_version::v2_0};
    REQUIRE(tpm.run(create_ecc) == 0);
    // An uncompressed point: 4, x, y (SEC 1, 2.3.3).
    const auto unique
      = body_of(tpm.response).substr(2 * ecc_unique_offset - 20);
    REQUIRE(unique.substr(0, 4) == "0020");
    const auto point
      = octets("04" + unique.substr(4, 64) + unique.substr(72, 64));
    const auto key = ecc_public_key(point);
    for (auto round = 0; round < 2; ++round) {
      REQUIRE(tpm.run(sign_2_0("0018")) == 0);
      CHECK(
        verifies(key.get(), nullptr, octets(sha256_digest),
                 ecdsa_der(byte_view{tpm.response}.subspan(signature_offset))));
    }
  }
}
