#include "tpm/crypto/secret.hpp"

#include <array>

#include <doctest/doctest.h>

#include "tpm/crypto/openssl_error.hpp"
#include "tpm/crypto/random.hpp"

using namespace vtpm::tpm;

TEST_SUITE("tpm/crypto/secret") {
  TEST_CASE("wiping leaves zeros, and no more than asked for") {
    auto octets = std::array<std::uint8_t, 8>{1, 2, 3, 4, 5, 6, 7, 8};
    wipe(octets.data() + 1, 6);
    CHECK(octets == std::array<std::uint8_t, 8>{1, 0, 0, 0, 0, 0, 0, 8});
    wipe(octets.data(), 0);
    CHECK(octets[0] == 1);
  }

  TEST_CASE("random octets differ and fill the whole target") {
    auto one = std::array<std::uint8_t, 32>{};
    auto two = one;
    auto seen = one;
    fill_random(one);
    fill_random(two);
    CHECK(one != two);
    for (auto round = 0; round < 64; ++round) {
      fill_random(one);
      for (std::size_t i = 0; i < one.size(); ++i)
        seen[i] |= one[i];
    }
    for (const auto octet : seen)
      CHECK(octet != 0);
    fill_random({});
  }

  TEST_CASE("an OpenSSL error says what failed") {
    const auto reason = openssl_error("cannot dance");
    CHECK(reason.code == errc::io);
    CHECK(reason.detail.rfind("cannot dance: ", 0) == 0);
  }
}
