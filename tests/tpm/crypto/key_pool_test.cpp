// Goal: a pool gives good keys, each once, and to its own process only.

// See tests/tpm/crypto/rsa_fixture.hpp.
#define OPENSSL_API_COMPAT 10100

#include "tpm/crypto/key_pool.hpp"

#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "tests/tpm/crypto/rsa_fixture.hpp"

using namespace vtpm;
using namespace vtpm::tests;
using tpm::key_pool;
using tpm::pool_pace;

TEST_SUITE("tpm/crypto/key_pool") {
  TEST_CASE("every key is good, and given once") {
    auto pool = key_pool{1, pool_pace::normal};
    auto keys = std::vector<tpm::rsa_ptr>{};
    for (auto round = 0; round < 2; ++round) {
      REQUIRE(pool.wait_until_full());
      while (auto key = pool.take())
        keys.push_back(std::move(key));
    }
    CHECK(keys.size() >= 2);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      auto& key = *keys[i];
      CHECK(RSA_bits(&key) == 2048);
      CHECK(BN_is_word(RSA_get0_e(&key), RSA_F4));
      CHECK(RSA_check_key(&key) == 1);
      const auto input = some_input(key);
      CHECK(raise_to_e(key, raise_to_d(key, input)) == input);
      for (std::size_t other = 0; other < i; ++other) {
        CHECK(BN_cmp(RSA_get0_n(&key), RSA_get0_n(keys[other].get())) != 0);
        CHECK(BN_cmp(RSA_get0_p(&key), RSA_get0_p(keys[other].get())) != 0);
      }
    }
  }

  TEST_CASE("a pool can go before it has made a key") {
    for (const auto pace : {pool_pace::normal, pool_pace::background})
      for (auto round = 0; round < 10; ++round)
        auto pool = key_pool{1, pace};
  }

  TEST_CASE("a process that was forked off gets no key") {
    auto pool = key_pool{1, pool_pace::normal};
    REQUIRE(pool.wait_until_full());
    const auto child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0)
      ::_exit(pool.take() == nullptr ? 0 : 1);
    auto status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(pool.take() != nullptr);
  }
}
