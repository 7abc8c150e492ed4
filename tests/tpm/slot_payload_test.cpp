#include "tpm/slot_payload.hpp"

#include "tests/tpm/store_fixture.hpp"

using namespace vtpm;
using namespace vtpm::tpm;

namespace {

byte_vector flatten(const encoded_payload& payload) {
  auto out = byte_vector{};
  for (const auto& part : payload.parts())
    out.insert(out.end(), part.begin(), part.end());
  return out;
}

snapshot example_state() {
  return {{0xAA, 0xBB, 0xCC}, {0xDD}};
}

const auto shadow_key = byte_vector(shadow_key_size, 0x5A);

// clang-format off
const auto example = [] {
  auto out = byte_vector{
    0x00, 0x01,             // type: permanent
    0x00, 0x00, 0x00, 0x03, // size
    0xAA, 0xBB, 0xCC,
    0x00, 0x02,             // type: savestate
    0x00, 0x00, 0x00, 0x01, // size
    0xDD,
    0x00, 0x03,             // type: the shadow's key
    0x00, 0x00, 0x00, 0x20, // size
  };
  out.insert(out.end(), shadow_key.begin(), shadow_key.end());
  return out;
}();
// clang-format on

} // namespace

TEST_SUITE("tpm/slot_payload") {
  TEST_CASE("the wire form is as documented, and is read back") {
    const auto state = example_state();
    const encoded_payload payload{state, shadow_key, std::nullopt};
    CHECK(flatten(payload) == example);
    CHECK(payload.size() == example.size());
    const auto back = decode_payload(example);
    REQUIRE(back);
    CHECK(vtpm::tests::equal(back->state, state));
    CHECK(std::equal(back->shadow_key.begin(), back->shadow_key.end(),
                     shadow_key.begin(), shadow_key.end()));
  }

  TEST_CASE("the number of a counted store is the fourth field") {
    const auto state = example_state();
    const encoded_payload payload{state, shadow_key, 0x0102030405060708};
    auto octets = example;
    octets.insert(octets.end(),
                  {0x00, 0x04, 0x00, 0x00, 0x00, 0x08, 1, 2, 3, 4, 5, 6, 7, 8});
    CHECK(flatten(payload) == octets);
    CHECK(payload.size() == octets.size());
    CHECK(decode_payload(octets)->number == 0x0102030405060708);
    CHECK_FALSE(decode_payload(example)->number.has_value());
    octets[example.size() + 5] = 7;
    octets.pop_back();
    CHECK_FALSE(decode_payload(octets));
  }

  TEST_CASE("a payload cut anywhere is refused") {
    for (std::size_t size = 0; size < example.size(); ++size)
      CHECK_FALSE(decode_payload(byte_view{example}.first(size)));
  }

  TEST_CASE("optional fields of later versions are skipped, anywhere") {
    const auto extra = byte_vector{0x80, 0x00, 0, 0, 0, 2, 1, 2};
    for (const auto position : {0, 9, 16, static_cast<int>(example.size())}) {
      auto longer = example;
      longer.insert(longer.begin() + position, extra.begin(), extra.end());
      CHECK(decode_payload(longer));
    }
  }

  TEST_CASE("fields unknown, repeated, out of order or too long are refused") {
    auto unknown = example;
    unknown.insert(unknown.end(), {0x00, 0x05, 0, 0, 0, 0});
    CHECK_FALSE(decode_payload(unknown));
    auto repeated = example;
    repeated.insert(repeated.begin(), example.begin(), example.begin() + 9);
    CHECK_FALSE(decode_payload(repeated));
    auto too_long = example;
    too_long[11] = 0xFF;
    CHECK_FALSE(decode_payload(too_long));
    auto missing = example;
    missing.erase(missing.begin(), missing.begin() + 9);
    CHECK_FALSE(decode_payload(missing));
    auto short_key = example;
    short_key.pop_back();
    short_key[21] = 0x1F;
    CHECK_FALSE(decode_payload(short_key));
  }
}
