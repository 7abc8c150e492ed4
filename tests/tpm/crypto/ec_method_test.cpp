// Goal: signatures are good for every curve, however it was given.
// Method: sign as libtpms does, with a group made of parameters, and have
// OpenSSL's own method verify.

// EC_KEY_* are deprecated in OpenSSL 3, and what libtpms calls.
#define OPENSSL_API_COMPAT 10100

#include "tpm/crypto/ec_method.hpp"

#include <array>
#include <memory>

#include <doctest/doctest.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

using namespace vtpm;

namespace {

struct free_openssl {
  void operator()(BIGNUM* value) const noexcept {
    BN_free(value);
  }

  void operator()(EC_GROUP* group) const noexcept {
    EC_GROUP_free(group);
  }

  void operator()(EC_KEY* key) const noexcept {
    EC_KEY_free(key);
  }

  void operator()(EC_POINT* point) const noexcept {
    EC_POINT_free(point);
  }

  void operator()(ECDSA_SIG* signature) const noexcept {
    ECDSA_SIG_free(signature);
  }
};

template <class T>
using handle = std::unique_ptr<T, free_openssl>;

handle<BIGNUM> number() {
  return handle<BIGNUM>{BN_new()};
}

/// Returns a curve of the same numbers without a name; with another generator
/// if asked to.
handle<EC_GROUP> without_name(int name, bool other_generator = false) {
  const auto named = handle<EC_GROUP>{EC_GROUP_new_by_curve_name(name)};
  const auto p = number();
  const auto a = number();
  const auto b = number();
  const auto x = number();
  const auto y = number();
  REQUIRE(EC_GROUP_get_curve(named.get(), p.get(), a.get(), b.get(), nullptr)
          == 1);
  auto group = handle<EC_GROUP>{
    EC_GROUP_new_curve_GFp(p.get(), a.get(), b.get(), nullptr)};
  const auto point = handle<EC_POINT>{EC_POINT_new(group.get())};
  REQUIRE(EC_POINT_get_affine_coordinates(named.get(),
                                          EC_GROUP_get0_generator(named.get()),
                                          x.get(), y.get(), nullptr)
          == 1);
  REQUIRE(EC_POINT_set_affine_coordinates(group.get(), point.get(), x.get(),
                                          y.get(), nullptr)
          == 1);
  if (other_generator)
    REQUIRE(EC_POINT_dbl(group.get(), point.get(), point.get(), nullptr) == 1);
  REQUIRE(EC_GROUP_set_generator(group.get(), point.get(),
                                 EC_GROUP_get0_order(named.get()),
                                 EC_GROUP_get0_cofactor(named.get()))
          == 1);
  return group;
}

constexpr auto digest = std::array<std::uint8_t, 32>{1, 2, 3};

handle<EC_KEY> key_on(const EC_GROUP* group) {
  auto key = handle<EC_KEY>{EC_KEY_new()};
  REQUIRE(EC_KEY_set_group(key.get(), group) == 1);
  REQUIRE(EC_KEY_generate_key(key.get()) == 1);
  return key;
}

/// Signs with nothing but the private part, as libtpms does.
handle<ECDSA_SIG> sign(const EC_KEY* key) {
  auto secret_half = handle<EC_KEY>{EC_KEY_new()};
  REQUIRE(EC_KEY_set_group(secret_half.get(), EC_KEY_get0_group(key)) == 1);
  REQUIRE(
    EC_KEY_set_private_key(secret_half.get(), EC_KEY_get0_private_key(key))
    == 1);
  return handle<ECDSA_SIG>{
    ECDSA_do_sign(digest.data(), digest.size(), secret_half.get())};
}

bool verifies(const ECDSA_SIG* signature, EC_KEY* key) {
  return ECDSA_do_verify(digest.data(), digest.size(), signature, key) == 1;
}

} // namespace

TEST_SUITE("tpm/crypto/ec_method") {
  TEST_CASE("signatures are good on every curve") {
    const auto method = tpm::ec_method{};
    for (const auto name : {NID_X9_62_prime256v1, NID_secp384r1, NID_secp256k1})
      for (const auto named : {true, false}) {
        CAPTURE(name);
        CAPTURE(named);
        const auto group = named
          ? handle<EC_GROUP>{EC_GROUP_new_by_curve_name(name)}
          : without_name(name);
        const auto key = key_on(group.get());
        const auto first = sign(key.get());
        const auto second = sign(key.get());
        REQUIRE(first);
        REQUIRE(second);
        CHECK(verifies(first.get(), key.get()));
        CHECK(verifies(second.get(), key.get()));
        CHECK_MESSAGE(
          BN_cmp(ECDSA_SIG_get0_r(first.get()), ECDSA_SIG_get0_r(second.get()))
            != 0,
          "a nonce was used twice");
        CHECK_FALSE(verifies(first.get(), key_on(group.get()).get()));
      }
  }

  TEST_CASE("a curve that only looks like P-256 is not taken for it") {
    const auto method = tpm::ec_method{};
    const auto group = without_name(NID_X9_62_prime256v1, true);
    const auto key = key_on(group.get());
    const auto signature = sign(key.get());
    REQUIRE(signature);
    CHECK(verifies(signature.get(), key.get()));
  }

  TEST_CASE("a key without its private part signs nothing") {
    const auto method = tpm::ec_method{};
    const auto group = without_name(NID_X9_62_prime256v1);
    const auto key = handle<EC_KEY>{EC_KEY_new()};
    REQUIRE(EC_KEY_set_group(key.get(), group.get()) == 1);
    CHECK(ECDSA_do_sign(digest.data(), digest.size(), key.get()) == nullptr);
  }

  TEST_CASE("OpenSSL is as it was afterwards") {
    {
      const auto method = tpm::ec_method{};
      CHECK(EC_KEY_get_default_method() != EC_KEY_OpenSSL());
    }
    CHECK(EC_KEY_get_default_method() == EC_KEY_OpenSSL());
  }
}
