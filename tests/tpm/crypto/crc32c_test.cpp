#include "tpm/crypto/crc32c.hpp"

#include <numeric>
#include <random>

#include <doctest/doctest.h>

using namespace vtpm;
using namespace vtpm::tpm;

TEST_SUITE("tpm/crypto/crc32c") {
  TEST_CASE("the vectors of RFC 3720, B.4 come out") {
    auto octets = byte_vector(32);
    CHECK(crc32c(octets) == 0x8A9136AA);
    octets.assign(32, 0xFF);
    CHECK(crc32c(octets) == 0x62A8AB43);
    std::iota(octets.begin(), octets.end(), std::uint8_t{0});
    CHECK(crc32c(octets) == 0x46DD794E);
    std::iota(octets.rbegin(), octets.rend(), std::uint8_t{0});
    CHECK(crc32c(octets) == 0x113FDB5C);
  }

  TEST_CASE("the check value of the catalogues comes out") {
    const auto digits
      = byte_vector{'1', '2', '3', '4', '5', '6', '7', '8', '9'};
    CHECK(crc32c(digits) == 0xE3069283);
    CHECK(crc32c_portable(digits) == 0xE3069283);
    CHECK(crc32c({}) == 0);
    CHECK(crc32c_portable({}) == 0);
  }

  TEST_CASE("with and without the processor's help agree at every length") {
    std::minstd_rand random{7};
    auto octets = byte_vector(600);
    for (auto& octet : octets)
      octet = static_cast<std::uint8_t>(random());
    for (std::size_t start = 0; start < 9; ++start)
      for (std::size_t size = 0; size + start < octets.size(); ++size) {
        const auto part = byte_view{octets}.subspan(start, size);
        REQUIRE(crc32c(part) == crc32c_portable(part));
      }
  }
}
