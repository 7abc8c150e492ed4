#include "tpm/crypto/sha256.hpp"

#include <doctest/doctest.h>

#include "tests/tpm/hex.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::to_hex;

TEST_SUITE("tpm/crypto/sha256") {
  TEST_CASE("the published digests come out, one after the other") {
    auto sha = sha_256::make();
    REQUIRE(sha);
    // FIPS 180-2, appendix B.1 and B.3, and the digest of nothing.
    const auto abc = byte_vector{'a', 'b', 'c'};
    const auto million = byte_vector(1000000, 'a');
    CHECK(
      to_hex(*sha->hash(abc))
      == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(
      to_hex(*sha->hash(million))
      == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    CHECK(
      to_hex(*sha->hash({}))
      == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  }
}
