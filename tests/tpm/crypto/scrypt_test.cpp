#include "tpm/crypto/scrypt.hpp"

#include <doctest/doctest.h>

#include "tests/tpm/hex.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::to_hex;

namespace {

byte_view octets(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

} // namespace

TEST_SUITE("tpm/crypto/scrypt") {
  TEST_CASE("the published vector with r = 8 and p = 1 comes out") {
    // RFC 7914, 12, the third; PBKDF2's first block does not depend on the
    // length asked for.
    const auto key
      = scrypt(octets("pleaseletmein"), octets("SodiumChloride"), 14);
    REQUIRE(key);
    CHECK(
      to_hex(*key)
      == "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2");
  }

  TEST_CASE("passphrase, salt and cost all count") {
    const auto one = *scrypt(octets("a"), octets("s"), 10);
    CHECK(one == *scrypt(octets("a"), octets("s"), 10));
    CHECK(one != *scrypt(octets("b"), octets("s"), 10));
    CHECK(one != *scrypt(octets("a"), octets("t"), 10));
    CHECK(one != *scrypt(octets("a"), octets("s"), 11));
  }

  TEST_CASE("a cost beyond reason is an error, not the end of the memory") {
    CHECK_FALSE(scrypt(octets("a"), octets("s"), 62));
  }
}
