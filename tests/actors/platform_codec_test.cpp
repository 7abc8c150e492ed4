#include "actors/platform_codec.hpp"

#include <doctest/doctest.h>

using namespace vtpm;
using namespace vtpm::actors;

namespace {

platform_memory full() {
  return {{"11111111-2222-3333-4444-555555555555",
           "66666666-7777-8888-9999-aaaaaaaaaaaa"},
          0x1234,
          true};
}

} // namespace

TEST_SUITE("actors/platform_codec") {
  TEST_CASE("a memory is encoded as documented, and read again") {
    const byte_vector expected{
      0x03,                                           // primary, keep next
      0x12, 0x34,                                     // its domid
      0x02,                                           // uuids
      0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x33, 0x33, // the first
      0x44, 0x44, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, //
      0x66, 0x66, 0x66, 0x66, 0x77, 0x77, 0x88, 0x88, // the second
      0x99, 0x99, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, //
    };
    CHECK(encode(full()) == expected);
    CHECK(decode_platform_memory(expected) == full());
  }

  TEST_CASE("every kind of memory survives") {
    for (const auto& memory :
         {platform_memory{}, platform_memory{{}, 0, false},
          platform_memory{{}, std::nullopt, true},
          platform_memory{{full().uuids.front()}, 65535, false}})
      CHECK(decode_platform_memory(encode(memory)) == memory);
  }

  TEST_CASE("every other length is refused") {
    auto octets = encode(full());
    for (std::size_t size = 0; size < octets.size(); ++size)
      CHECK_FALSE(decode_platform_memory(byte_view{octets}.first(size)));
    octets.push_back(0);
    CHECK_FALSE(decode_platform_memory(octets));
  }

  TEST_CASE("what the encoder never writes is refused") {
    auto flags = encode(full());
    flags[0] = 0x04;
    CHECK_FALSE(decode_platform_memory(flags));
    auto domid = encode(full());
    domid[0] = 0x02;
    CHECK_FALSE(decode_platform_memory(domid));
    auto count = encode(full());
    count[3] = 3;
    count.resize(count.size() + 16);
    CHECK_FALSE(decode_platform_memory(count));
  }
}
