#include "tpm/crypto/hkdf.hpp"

#include <doctest/doctest.h>

#include "tests/tpm/hex.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::from_hex;
using vtpm::tests::to_hex;

namespace {

std::string derive(hkdf_sha256& hkdf, const char* secret, const char* salt,
                   const char* info, std::size_t size) {
  auto out = byte_vector(size);
  REQUIRE(hkdf.derive(from_hex(secret), from_hex(salt), from_hex(info), out));
  return to_hex(out);
}

} // namespace

TEST_SUITE("tpm/crypto/hkdf") {
  TEST_CASE("the vectors of RFC 5869, appendix A come out of one object") {
    auto hkdf = hkdf_sha256::make();
    REQUIRE(hkdf);
    for (auto round = 0; round < 2; ++round) {
      // A.1
      CHECK(derive(*hkdf, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
                   "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9", 42)
            == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5"
               "bf34007208d5b887185865");
      // A.2
      CHECK(derive(*hkdf,
                   "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c"
                   "1d1e1f202122232425262728292a2b2c2d2e2f30313233343536373839"
                   "3a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
                   "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c"
                   "7d7e7f808182838485868788898a8b8c8d8e8f90919293949596979899"
                   "9a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
                   "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcc"
                   "cdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9"
                   "eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
                   82)
            == "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa9"
               "7c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3"
               "db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
      // A.3: neither salt nor info.
      CHECK(derive(*hkdf, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "",
                   "", 42)
            == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d"
               "2d9d201395faa4b61a96c8");
    }
  }
}
