#include "protocol/big_endian.hpp"

#include <array>

#include <doctest/doctest.h>

using namespace vtpm::protocol;

TEST_SUITE("protocol/big_endian") {
  TEST_CASE("the most significant octet comes first") {
    const std::uint8_t wire[]
      = {0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF};
    CHECK(load_be<std::uint8_t>(wire) == 0x01);
    CHECK(load_be<std::uint16_t>(wire) == 0x0123);
    CHECK(load_be<std::uint32_t>(wire) == 0x01234567);
    CHECK(load_be<std::uint64_t>(wire) == 0x0123456789ABCDEF);
  }

  TEST_CASE("storing inverts loading and touches nothing else") {
    std::array<std::uint8_t, 6> wire{};
    wire.fill(0x5A);
    auto* end = store_be(wire.data() + 1, std::uint32_t{0xFEDCBA98});
    CHECK(end == wire.data() + 5);
    CHECK(load_be<std::uint32_t>(wire.data() + 1) == 0xFEDCBA98);
    CHECK(wire.front() == 0x5A);
    CHECK(wire.back() == 0x5A);
  }
}
