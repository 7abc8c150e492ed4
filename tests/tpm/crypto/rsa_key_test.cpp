// Goal: the factors of a key are found whenever d gives them away, and never
// change a result.
// Method: compare with OpenSSL's own keys, and with what it computes from d.

#include "tests/tpm/crypto/rsa_fixture.hpp"

using namespace vtpm;
using namespace vtpm::tests;

namespace {

/// Returns d modulo (p-1)(q-1), as libtpms takes it; OpenSSL takes it modulo
/// their least common multiple.
number d_of_libtpms(const RSA& key) {
  const auto scratch = scratch_space{BN_CTX_new()};
  const auto p = number{BN_dup(RSA_get0_p(&key))};
  const auto q = number{BN_dup(RSA_get0_q(&key))};
  const auto totient = number{BN_new()};
  REQUIRE(BN_sub_word(p.get(), 1) == 1);
  REQUIRE(BN_sub_word(q.get(), 1) == 1);
  REQUIRE(BN_mul(totient.get(), p.get(), q.get(), scratch.get()) == 1);
  return number{
    BN_mod_inverse(nullptr, RSA_get0_e(&key), totient.get(), scratch.get())};
}

bool has_factors_of(const RSA& key, const RSA& other) {
  const auto* p = RSA_get0_p(&other);
  const auto* q = RSA_get0_q(&other);
  return (BN_cmp(RSA_get0_p(&key), p) == 0 && BN_cmp(RSA_get0_q(&key), q) == 0)
    || (BN_cmp(RSA_get0_p(&key), q) == 0 && BN_cmp(RSA_get0_q(&key), p) == 0);
}

} // namespace

TEST_SUITE("tpm/crypto/rsa_key") {
  TEST_CASE("the factors of a key are found from n, e and d") {
    for (const auto bits : {512, 1024, 2048})
      for (const auto exponent : {3ul, 65537ul, 4294967291ul}) {
        CAPTURE(bits);
        CAPTURE(exponent);
        const auto original = generate_rsa(bits, exponent);
        REQUIRE(original);
        const auto d = d_of_libtpms(*original);
        REQUIRE(d);
        const auto slow = with_d(*original, d.get());
        const auto fast = tpm::with_factors(*slow);
        REQUIRE(fast);
        CHECK(has_factors_of(*fast, *original));
        CHECK(tpm::same_key(*fast, *slow));
        CHECK(RSA_check_key(fast.get()) == 1);
        const auto input = some_input(*slow);
        const auto output = raise_to_d(*fast, input);
        CHECK(output == raise_to_d(*slow, input));
        CHECK(raise_to_e(*slow, output) == input);
      }
  }

  TEST_CASE("the factors of most of OpenSSL's own keys are found") {
    // All but those where p-1 and q-1 have a large divisor in common.
    auto found = 0;
    for (auto round = 0; round < 20; ++round) {
      const auto original = generate_rsa(512);
      REQUIRE(original);
      if (const auto fast = tpm::with_factors(*bare(*original))) {
        CHECK(has_factors_of(*fast, *original));
        ++found;
      }
    }
    CHECK(found >= 10);
  }

  TEST_CASE("a d that is no inverse of e gives no factors") {
    const auto original = generate_rsa();
    REQUIRE(original);
    const auto d = d_of_libtpms(*original);
    const auto forged = [&](auto change) {
      auto copy = number{BN_dup(d.get())};
      change(copy.get());
      return tpm::with_factors(*with_d(*original, copy.get())) == nullptr;
    };
    CHECK(forged([](BIGNUM* n) { BN_add_word(n, 1); }));
    CHECK(forged([](BIGNUM* n) { BN_add_word(n, 2); }));
    CHECK(forged([](BIGNUM* n) { BN_sub_word(n, 2); }));
    CHECK(forged([](BIGNUM* n) { BN_set_word(n, 0); }));
    CHECK(forged([](BIGNUM* n) { BN_set_word(n, 1); }));
    CHECK(forged([](BIGNUM* n) { BN_one(n), BN_lshift(n, n, 2047); }));
    for (auto bit = 1; bit < 2040; bit += 97)
      CHECK(forged([&](BIGNUM* n) {
        if (BN_is_bit_set(n, bit))
          BN_clear_bit(n, bit);
        else
          BN_set_bit(n, bit);
      }));
  }

  TEST_CASE("numbers that are no key give no factors") {
    const auto zero = number{BN_new()};
    const auto one = number{BN_dup(BN_value_one())};
    const auto many = number{BN_new()};
    REQUIRE(BN_set_word(many.get(), 1'000'003) == 1);
    for (const auto* n : {zero.get(), one.get(), many.get()})
      for (const auto* e : {zero.get(), one.get(), many.get()})
        for (const auto* d : {zero.get(), one.get(), many.get()})
          CHECK(tpm::with_factors(*key_of(n, e, d)) == nullptr);
    const auto empty = tpm::rsa_ptr{RSA_new()};
    CHECK(tpm::with_factors(*empty) == nullptr);
    const auto original = generate_rsa();
    auto half = tpm::rsa_ptr{RSA_new()};
    REQUIRE(RSA_set0_key(half.get(), BN_dup(RSA_get0_n(original.get())),
                         BN_dup(RSA_get0_e(original.get())), nullptr)
            == 1);
    CHECK(tpm::with_factors(*half) == nullptr);
  }

  TEST_CASE("a fault in a computation with the factors does not show") {
    const auto original = generate_rsa();
    const auto input = some_input(*original);
    const auto expected = raise_to_d(*bare(*original), input);
    const auto d = d_of_libtpms(*original);
    auto faulty = tpm::with_factors(*with_d(*original, d.get()));
    REQUIRE(faulty);
    auto wrong = number{BN_dup(RSA_get0_dmp1(faulty.get()))};
    REQUIRE(BN_sub_word(wrong.get(), 2) == 1);
    REQUIRE(RSA_set0_crt_params(faulty.get(), wrong.release(),
                                BN_dup(RSA_get0_dmq1(faulty.get())),
                                BN_dup(RSA_get0_iqmp(faulty.get())))
            == 1);
    CHECK(raise_to_d(*faulty, input) == expected);
  }

  TEST_CASE("a key is the sum of its factors, and a copy is the same") {
    const auto original = generate_rsa();
    const auto made = tpm::from_factors(*RSA_get0_p(original.get()),
                                        *RSA_get0_q(original.get()));
    REQUIRE(made);
    CHECK(RSA_check_key(made.get()) == 1);
    CHECK(BN_cmp(RSA_get0_n(made.get()), RSA_get0_n(original.get())) == 0);
    auto copy = tpm::rsa_ptr{RSA_new()};
    REQUIRE(tpm::copy_key(*copy, *made));
    CHECK(tpm::same_key(*copy, *made));
    CHECK(RSA_check_key(copy.get()) == 1);
    CHECK_FALSE(tpm::same_key(*copy, *generate_rsa()));
    const auto public_half = tpm::rsa_ptr{RSAPublicKey_dup(made.get())};
    CHECK_FALSE(tpm::same_key(*copy, *public_half));
    CHECK_FALSE(tpm::copy_key(*tpm::rsa_ptr{RSA_new()}, *public_half));
  }
}
