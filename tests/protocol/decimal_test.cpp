#include "protocol/decimal.hpp"

#include <cstdint>
#include <string>

#include <doctest/doctest.h>

using vtpm::protocol::parse_decimal;

TEST_SUITE("protocol/decimal") {
  TEST_CASE("every number that fits is read") {
    for (auto number = 0u; number <= 65535; ++number)
      CHECK(parse_decimal<std::uint16_t>(std::to_string(number)) == number);
  }

  TEST_CASE("everything else is refused") {
    for (auto text : {"", " 1", "1 ", "+1", "-1", "0x1", "1.0", "65536",
                      "99999999999999999999999", "one", "1\n"})
      CHECK_FALSE(parse_decimal<std::uint16_t>(text));
    CHECK_FALSE(parse_decimal<std::uint16_t>(std::string_view{"1\0", 2}));
  }
}
