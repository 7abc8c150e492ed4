// Goal: factors are kept for the keys used last, and for no others anywhere.
// Method: small keys, and a search of the whole memory for a factor.

// See tests/tpm/crypto/rsa_fixture.hpp.
#define OPENSSL_API_COMPAT 10100

#include "tpm/crypto/rsa_cache.hpp"

#include <vector>

#include "tests/tpm/crypto/memory_scan.hpp"
#include "tests/tpm/crypto/rsa_fixture.hpp"

using namespace vtpm;
using namespace vtpm::tests;
using tpm::rsa_cache;

namespace {

/// Keys whose factors can be found, without these.
std::vector<tpm::rsa_ptr> bare_keys(std::size_t count) {
  auto keys = std::vector<tpm::rsa_ptr>{};
  while (keys.size() < count) {
    const auto key = generate_rsa(512);
    REQUIRE(key);
    auto slow = bare(*key);
    if (tpm::with_factors(*slow) != nullptr)
      keys.push_back(std::move(slow));
  }
  return keys;
}

/// Returns one factor of a key, so that it is nowhere else.
masked_words factor_of(const RSA& key) {
  auto words = std::vector<std::uint64_t>(4);
  {
    const auto found = tpm::with_factors(key);
    REQUIRE(found);
    REQUIRE(BN_bn2lebinpad(RSA_get0_p(found.get()),
                           reinterpret_cast<std::uint8_t*>(words.data()), 32)
            == 32);
  }
  auto masked = masked_words{words};
  OPENSSL_cleanse(words.data(), words.size() * 8);
  return masked;
}

} // namespace

TEST_SUITE("tpm/crypto/rsa_cache") {
  TEST_CASE("a key is factored once while it is in use") {
    const auto keys = bare_keys(rsa_cache::capacity + 1);
    auto cache = rsa_cache{};
    auto* first = cache.find(*keys[0]);
    REQUIRE(first != nullptr);
    CHECK(RSA_get0_p(first) != nullptr);
    for (std::size_t i = 1; i < rsa_cache::capacity; ++i)
      CHECK(cache.find(*keys[i]) != nullptr);
    CHECK(cache.size() == rsa_cache::capacity);
    // Another object with the same numbers, while there is no room left.
    CHECK(cache.find(*bare(*keys[0])) == first);

    CHECK(cache.find(*keys.back()) != nullptr);
    CHECK(cache.size() == rsa_cache::capacity);
    CHECK(cache.find(*keys[0]) == first);
  }

  TEST_CASE("a key with another d is another key") {
    const auto keys = bare_keys(1);
    auto cache = rsa_cache{};
    REQUIRE(cache.find(*keys[0]) != nullptr);
    auto d = number{BN_dup(RSA_get0_d(keys[0].get()))};
    REQUIRE(BN_add_word(d.get(), 2) == 1);
    CHECK(cache.find(*with_d(*keys[0], d.get())) == nullptr);
    CHECK(cache.size() == 1);
  }

  TEST_CASE("what the cache forgets is nowhere in memory") {
    const auto keys = bare_keys(rsa_cache::capacity + 1);
    const auto factor = factor_of(*keys[0]);
    REQUIRE(factor.sightings() == 0);
    auto cache = rsa_cache{};
    REQUIRE(cache.find(*keys[0]) != nullptr);
    CHECK(factor.sightings() > 0);
    SUBCASE("for another key") {
      for (std::size_t i = 1; i < keys.size(); ++i)
        REQUIRE(cache.find(*keys[i]) != nullptr);
      CHECK(cache.size() == rsa_cache::capacity);
    }
    SUBCASE("when told to") {
      cache.clear();
      CHECK(cache.size() == 0);
    }
    CHECK(factor.sightings() == 0);
  }
}
