#include <cctype>

#include <doctest/doctest.h>

#include "tpm/state_store.hpp"

using namespace vtpm::tpm;

namespace {

constexpr auto example = uuid{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                              0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF};

const std::string example_text = "00112233-4455-6677-8899-aabbccddeeff";

} // namespace

TEST_SUITE("tpm/uuid") {
  TEST_CASE("the 36 characters are written and read back") {
    CHECK(to_string(example) == example_text);
    CHECK(parse_uuid(example_text) == example);
    CHECK(parse_uuid("00112233-4455-6677-8899-AABBCCDDEEFF") == example);
  }

  TEST_CASE("every other length is refused") {
    for (std::size_t size = 0; size < example_text.size(); ++size)
      CHECK_FALSE(parse_uuid(example_text.substr(0, size)));
    CHECK_FALSE(parse_uuid(example_text + "0"));
    CHECK_FALSE(parse_uuid("{" + example_text + "}"));
  }

  TEST_CASE("every character must be what its place asks for") {
    for (std::size_t i = 0; i < example_text.size(); ++i)
      for (auto letter = 0; letter < 256; ++letter) {
        auto text = example_text;
        text[i] = static_cast<char>(letter);
        const auto fits
          = example_text[i] == '-' ? letter == '-' : std::isxdigit(letter) != 0;
        CHECK(parse_uuid(text).has_value() == fits);
      }
  }

  TEST_CASE("a new one is random and says so") {
    const auto one = make_uuid();
    CHECK(one != make_uuid());
    CHECK((one[6] & 0xF0) == 0x40);
    CHECK((one[8] & 0xC0) == 0x80);
  }
}
