#include "tpm/crypto/public_key.hpp"

#include <doctest/doctest.h>

#include "tests/tpm/hardware/approver.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::approver;

TEST_SUITE("tpm/crypto/public_key") {
  TEST_CASE("keys that a TPM verifies with are read") {
    const auto p256 = parse_public_key(approver{EVP_EC_gen("P-256")}.pem());
    REQUIRE(p256);
    CHECK(std::holds_alternative<p256_public_key>(*p256));
    const auto rsa = parse_public_key(approver{EVP_RSA_gen(2048u)}.pem());
    REQUIRE(rsa);
    REQUIRE(std::holds_alternative<rsa_public_key>(*rsa));
    CHECK(std::get<rsa_public_key>(*rsa).modulus.size() == 256);
    CHECK(std::get<rsa_public_key>(*rsa).exponent == 65537);
  }

  TEST_CASE("what OpenSSL prints of a key is what is read of it") {
    // openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 |
    //   openssl pkey -pubout -text
    const auto key = parse_public_key(
      "-----BEGIN PUBLIC KEY-----\n"
      "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n"
      "6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n"
      "-----END PUBLIC KEY-----\n");
    REQUIRE(key);
    const auto& point = std::get<p256_public_key>(*key);
    // The base point of SEC 2, 2.4.2.
    CHECK(point.x[0] == 0x6B);
    CHECK(point.x[31] == 0x96);
    CHECK(point.y[0] == 0x4F);
    CHECK(point.y[31] == 0xF5);
  }

  TEST_CASE("what a TPM cannot verify with is refused, and what to do said") {
    for (const auto& pem :
         {approver{EVP_EC_gen("P-384")}.pem(),
          approver{EVP_RSA_gen(1024u)}.pem(),
          approver{EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")}.pem(),
          std::string{}, std::string{"-----BEGIN PUBLIC KEY-----\n"},
          std::string(100000, 'A')}) {
      const auto refused = parse_public_key(pem);
      REQUIRE_FALSE(refused);
      CHECK(refused.error().code == errc::unusable);
      CHECK(refused.error().detail.find("openssl") != std::string::npos);
    }
  }

  TEST_CASE("signatures of P-256 are read, cut short or longer they are not") {
    const approver signer{EVP_EC_gen("P-256")};
    auto der = signer.approve(byte_vector(32, 1)).signature;
    CHECK(parse_p256_signature(der));
    for (auto size = std::size_t{0}; size < der.size(); ++size)
      CHECK_FALSE(parse_p256_signature(byte_view{der}.first(size)));
    der.push_back(0);
    CHECK_FALSE(parse_p256_signature(der));
    // Of a larger curve.
    const approver other{EVP_EC_gen("P-384")};
    CHECK_FALSE(
      parse_p256_signature(other.approve(byte_vector(32, 1)).signature));
  }
}
