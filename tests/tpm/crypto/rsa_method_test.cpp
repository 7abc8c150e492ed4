// Goal: code that calls OpenSSL's RSA_* gets the same results as ever.
// Method: call them as libtpms does, with a key of n, e and d each time.

// See tests/tpm/crypto/rsa_fixture.hpp.
#define OPENSSL_API_COMPAT 10100

#include "tpm/crypto/rsa_method.hpp"

#include <atomic>
#include <optional>

#include "tests/tpm/crypto/rsa_fixture.hpp"
#include "tpm/crypto/self_test_key.hpp"

using namespace vtpm;
using namespace vtpm::tests;
using tpm::rsa_method;

namespace {

bool is_published(const RSA& key) {
  return BN_cmp(RSA_get0_n(&key), RSA_get0_n(tpm::make_self_test_key().get()))
    == 0;
}

} // namespace

TEST_SUITE("tpm/crypto/rsa_method") {
  TEST_CASE("private operations give what d gives") {
    const auto original = generate_rsa();
    const auto input = some_input(*original);
    const auto expected = raise_to_d(*bare(*original), input);
    REQUIRE(!expected.empty());
    const auto stop = std::atomic{false};
    auto method = rsa_method{stop};
    for (auto round = 0; round < 3; ++round) {
      CHECK(raise_to_d(*bare(*original), input) == expected);
      auto output = byte_vector(input.size());
      CHECK(RSA_private_decrypt(static_cast<int>(input.size()), input.data(),
                                output.data(), bare(*original).get(),
                                RSA_NO_PADDING)
            == static_cast<int>(input.size()));
      CHECK(output == expected);
      if (round == 1)
        method.forget();
    }
    CHECK(raise_to_e(*bare(*original), expected) == input);
  }

  TEST_CASE("a key whose d does not fit computes with d all the same") {
    const auto original = generate_rsa();
    const auto input = some_input(*original);
    auto d = number{BN_dup(RSA_get0_d(original.get()))};
    REQUIRE(BN_add_word(d.get(), 2) == 1);
    // Blinding takes e for the inverse of d.
    const auto raise = [&] {
      const auto key = with_d(*original, d.get());
      RSA_set_flags(key.get(), RSA_FLAG_NO_BLINDING);
      return raise_to_d(*key, input);
    };
    const auto expected = raise();
    REQUIRE(!expected.empty());
    const auto stop = std::atomic{false};
    auto method = rsa_method{stop};
    CHECK(raise() == expected);
  }

  TEST_CASE("padding is made and checked") {
    const auto stop = std::atomic{false};
    auto method = rsa_method{stop};
    const auto key = bare(*generate_rsa());
    const auto text = byte_vector{1, 2, 3};
    auto sealed = byte_vector(256);
    REQUIRE(RSA_public_encrypt(3, text.data(), sealed.data(), key.get(),
                               RSA_PKCS1_OAEP_PADDING)
            == 256);
    auto opened = byte_vector(256);
    CHECK(RSA_private_decrypt(256, sealed.data(), opened.data(), key.get(),
                              RSA_PKCS1_OAEP_PADDING)
          == 3);
    opened.resize(3);
    CHECK(opened == text);
    sealed[100] ^= 1;
    opened.resize(256);
    CHECK(RSA_private_decrypt(256, sealed.data(), opened.data(), key.get(),
                              RSA_PKCS1_OAEP_PADDING)
          == -1);
  }

  TEST_CASE("key generation ends when told to") {
    auto stop = std::atomic{true};
    auto method = rsa_method{stop};
    CHECK(generate_rsa() == nullptr);
    stop = false;
    CHECK(generate_rsa() != nullptr);
  }

  TEST_CASE("keys come from the pool, and without it from OpenSSL") {
    const auto stop = std::atomic{false};
    auto method = rsa_method{stop};
    CHECK_FALSE(method.wait_for_pool());
    CHECK(generate_rsa() != nullptr);
    CHECK(method.figures().hits == 0);
    CHECK(method.figures().misses == 0);
    method.start_pool(1, tpm::pool_pace::normal);
    REQUIRE(method.wait_for_pool());
    const auto key = generate_rsa();
    REQUIRE(key);
    CHECK(method.figures().hits == 1);
    CHECK(method.figures().misses == 0);
    CHECK(RSA_check_key(key.get()) == 1);
    CHECK_FALSE(is_published(*key));
    // What the pool has none of.
    CHECK(RSA_bits(generate_rsa(1024).get()) == 1024);
    CHECK(BN_is_word(RSA_get0_e(generate_rsa(2048, 3).get()), 3));
    CHECK(method.figures().hits == 1);
    CHECK(method.figures().misses == 0);
  }

  TEST_CASE("the published key is good for the self-test, once") {
    const auto stop = std::atomic{false};
    auto method = rsa_method{stop};
    REQUIRE(RSA_check_key(tpm::make_self_test_key().get()) == 1);
    {
      const auto window = rsa_method::self_test{method};
      CHECK(RSA_bits(generate_rsa(1024).get()) == 1024);
      CHECK_FALSE(is_published(*generate_rsa(2048, 3)));
      const auto key = generate_rsa();
      CHECK(is_published(*key));
      CHECK(RSA_check_key(key.get()) == 1);
      CHECK_FALSE(is_published(*generate_rsa()));
    }
    CHECK_FALSE(is_published(*generate_rsa()));
    { const auto unused = rsa_method::self_test{method}; }
    CHECK_FALSE(is_published(*generate_rsa()));
  }

  TEST_CASE("OpenSSL is as it was afterwards") {
    {
      const auto stop = std::atomic{true};
      auto method = rsa_method{stop};
    }
    CHECK(RSA_get_default_method() == RSA_PKCS1_OpenSSL());
    CHECK(generate_rsa() != nullptr);
  }
}
