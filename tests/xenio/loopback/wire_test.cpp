// Goal: what goes over vtpmd's socket is exact in size and form.
// Method: fixtures split by field, decoded and encoded back; every truncation,
// extension and flipped bit.

#include "xenio/loopback/wire.hpp"

#include <vector>

#include <doctest/doctest.h>

using namespace vtpm;
using namespace vtpm::xenio;
using namespace vtpm::xenio::loopback;

namespace {

struct fixture {
  wire::message content;
  byte_vector octets;
};

byte_vector with_text(byte_vector head, std::string_view text) {
  head.insert(head.end(), text.begin(), text.end());
  return head;
}

const std::string uuid = "01234567-89ab-cdef-0123-456789abcdef";

const std::vector<fixture> fixtures = {
  {wire::claim{1, 0x0102, 0x03040506, uuid},
   with_text({0x01,                    // kind
              0x01,                    // version
              0x02, 0x01,              // domid
              0x06, 0x05, 0x04, 0x03}, // handle
             uuid)},
  {wire::page{0x01020304},
   {0x02,                     // kind
    0x00, 0x00, 0x00,         // padding
    0x04, 0x03, 0x02, 0x01}}, // number
  {wire::doorbell{0xFFFFFFFF},
   {0x03,                     // kind
    0x00, 0x00, 0x00,         // padding
    0xFF, 0xFF, 0xFF, 0xFF}}, // number
  {wire::node{"state", "3"}, with_text({0x04, 0x05, 0x01, 0x00}, "state3")},
  {wire::node{"state", ""}, with_text({0x04, 0x05, 0x00, 0x00}, "state")},
  {wire::node{"ring-ref", std::nullopt},
   with_text({0x04, 0x08, 0x00, 0x01}, "ring-ref")},
  {wire::accepted{1}, {0x05, 0x01}},
  {wire::refusal{wire::refusal_code::denied, "no"},
   with_text({0x06, 0x02, 0x02, 0x00}, "no")},
};

} // namespace

TEST_SUITE("xenio/loopback/wire") {
  TEST_CASE("each message has its wire form, and back") {
    for (const auto& [content, octets] : fixtures) {
      const auto kind = content.index();
      CAPTURE(kind);
      CHECK(wire::encode(content) == octets);
      auto decoded = wire::decode(octets);
      REQUIRE(decoded);
      CHECK(*decoded == content);
    }
  }

  TEST_CASE("a message cut short or too long is none") {
    for (const auto& [content, octets] : fixtures) {
      const auto kind = content.index();
      CAPTURE(kind);
      for (std::size_t size = 0; size < octets.size(); ++size) {
        CAPTURE(size);
        auto decoded = wire::decode(byte_view{octets}.first(size));
        REQUIRE_FALSE(decoded);
        CHECK(decoded.error().code == errc::protocol);
      }
      auto longer = octets;
      longer.push_back(0);
      CHECK_FALSE(wire::decode(longer));
    }
  }

  TEST_CASE("a flipped bit yields another message or none, never the same") {
    for (const auto& [content, octets] : fixtures)
      for (std::size_t bit = 0; bit < octets.size() * 8; ++bit) {
        auto flipped = octets;
        flipped[bit / 8]
          = static_cast<std::uint8_t>(flipped[bit / 8] ^ (1u << bit % 8));
        auto decoded = wire::decode(flipped);
        if (!decoded)
          continue;
        // Letter case is the one thing that a uuid does not tell apart.
        if (*decoded == content) {
          CHECK(std::holds_alternative<wire::claim>(content));
          CHECK(bit % 8 == 5);
        } else {
          CHECK(wire::encode(*decoded) != octets);
        }
      }
  }

  TEST_CASE("a uuid is 8-4-4-4-12 hexadecimal digits in either case") {
    auto upper = fixtures[0].octets;
    for (auto& octet : upper)
      if (octet >= 'a' && octet <= 'f')
        octet = static_cast<std::uint8_t>(octet - 'a' + 'A');
    auto decoded = wire::decode(upper);
    REQUIRE(decoded);
    CHECK(*decoded == fixtures[0].content);
    for (std::size_t i = 0; i < wire::uuid_size; ++i)
      for (char bad : {'g', ' ', '/', ':', '@', '`', '\0'}) {
        auto wrong = fixtures[0].octets;
        wrong[8 + i] = static_cast<std::uint8_t>(bad);
        CHECK_FALSE(wire::decode(wrong));
      }
  }

  TEST_CASE("keys, values and reasons have limits") {
    const auto longest = wire::node{std::string(wire::key_size_max, 'k'),
                                    std::string(wire::value_size_max, 'v')};
    auto octets = wire::encode(longest);
    auto decoded = wire::decode(octets);
    REQUIRE(decoded);
    CHECK(*decoded == wire::message{longest});
    CHECK_FALSE(wire::decode(
      with_text({4, wire::key_size_max + 1, 0, 0}, std::string(33, 'k'))));
    CHECK_FALSE(wire::decode(
      with_text({4, 1, wire::value_size_max + 1, 0}, std::string(130, 'k'))));
    CHECK_FALSE(wire::decode(with_text({4, 0, 1, 0}, "v")));
    CHECK_FALSE(wire::decode(with_text({4, 1, 1, 1}, "kv")));
    CHECK_FALSE(wire::decode(with_text({4, 1, 0, 2}, "k")));
    CHECK_FALSE(
      wire::decode(with_text({6, 1, 0x01, 0x01}, std::string(257, 'r'))));
    CHECK_FALSE(wire::decode(byte_vector(wire::message_size_max + 1, 4)));
  }

  TEST_CASE("only the refusals there are have codes") {
    for (unsigned code = 0; code < 256; ++code) {
      const byte_vector octets = {6, static_cast<std::uint8_t>(code), 0, 0};
      CHECK(bool{wire::decode(octets)} == (code >= 1 && code <= 5));
    }
  }

  TEST_CASE("only the kinds there are have a meaning") {
    for (unsigned kind = 7; kind < 256; ++kind)
      CHECK_FALSE(
        wire::decode(byte_vector(8, static_cast<std::uint8_t>(kind))));
    CHECK_FALSE(wire::decode(byte_vector(8, 0)));
  }
}
