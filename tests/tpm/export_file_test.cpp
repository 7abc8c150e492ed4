// Goal: an export opens with its secret and as it was written, or not at all;
// a hostile one costs next to nothing.

#include "tpm/export_file.hpp"

#include <algorithm>

#include "protocol/big_endian.hpp"
#include "tests/tpm/hex.hpp"
#include "tests/tpm/store_fixture.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::equal;
using vtpm::tests::hex_in_document;
using vtpm::tests::to_hex;

namespace {

/// The export of export_format.md's example.
struct example {
  export_content content;
  export_lock lock;
  secret_bytes secret = secret_bytes(32, 0x4B);
  secret_bytes key;
  byte_vector octets;

  example() {
    content.version = tpm_version::v2_0;
    for (std::size_t i = 0; i < content.id.size(); ++i)
      content.id[i] = static_cast<std::uint8_t>(0xA0 + i);
    content.gen = 7;
    content.state.permanent = {'p', 'e', 'r', 'm'};
    lock.kind = export_lock_kind::key_file;
    for (std::size_t i = 0; i < lock.salt.size(); ++i)
      lock.salt[i] = static_cast<std::uint8_t>(0x20 + i);
    key = *derive_export_key(lock, secret);
    octets = *seal_export(content, lock, key);
  }
};

} // namespace

TEST_SUITE("tpm/export_file") {
  TEST_CASE("an export is the documented example, octet by octet") {
    CHECK(to_hex(example{}.octets)
          == to_hex(hex_in_document("tpm/export_format.md")));
  }

  TEST_CASE("what was exported is what is opened") {
    for (const auto size : {std::size_t{1}, std::size_t{3700}, sealed_size_max})
      for (const auto version : {tpm_version::v1_2, tpm_version::v2_0}) {
        example e;
        e.content.version = version;
        e.content.state = tests::state_of(4, size);
        e.octets = *seal_export(e.content, e.lock, e.key);
        REQUIRE(read_export_lock(e.octets));
        const auto opened = open_export(e.octets, e.key);
        REQUIRE(opened);
        CHECK(opened->version == version);
        CHECK(opened->id == e.content.id);
        CHECK(opened->gen == 7);
        CHECK(equal(opened->state, e.content.state));
      }
  }

  TEST_CASE("volatile state comes along if there is any") {
    example e;
    for (const auto size :
         {std::size_t{0}, std::size_t{1}, std::size_t{9000}}) {
      e.content.volatile_state = secret_bytes(size, 0x33);
      e.octets = *seal_export(e.content, e.lock, e.key);
      REQUIRE(read_export_lock(e.octets));
      const auto opened = open_export(e.octets, e.key);
      REQUIRE(opened);
      CHECK(opened->volatile_state == e.content.volatile_state);
      CHECK(equal(opened->state, e.content.state));
    }
  }

  TEST_CASE("a passphrase opens it and another one does not") {
    example e;
    auto lock = make_export_lock(export_lock_kind::passphrase);
    CHECK(lock.cost == export_cost);
    // Enough to see that it works.
    lock.cost = export_cost_min;
    const auto right = byte_vector{'o', 'p', 'e', 'n'};
    const auto wrong = byte_vector{'o', 'p', 'e', 'm'};
    const auto key = derive_export_key(lock, right);
    REQUIRE(key);
    const auto octets = *seal_export(e.content, lock, *key);
    const auto read = read_export_lock(octets);
    REQUIRE(read);
    CHECK(read->cost == export_cost_min);
    CHECK(read->salt == lock.salt);
    CHECK(open_export(octets, *derive_export_key(*read, right)));
    const auto refused = open_export(octets, *derive_export_key(*read, wrong));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::wrong_key);
  }

  TEST_CASE("two exports of one state have nothing in common") {
    const auto one = make_export_lock(export_lock_kind::key_file);
    const auto two = make_export_lock(export_lock_kind::key_file);
    CHECK(one.salt != two.salt);
    CHECK(one.cost == 0);
    const auto secret = secret_bytes(32, 1);
    CHECK(*derive_export_key(one, secret) != *derive_export_key(two, secret));
  }

  TEST_CASE("no bit can be flipped") {
    example e;
    for (std::size_t i = 0; i < e.octets.size(); ++i)
      for (auto bit = 0u; bit < 8; ++bit) {
        CAPTURE(i);
        CAPTURE(bit);
        auto changed = e.octets;
        changed[i] ^= static_cast<std::uint8_t>(1u << bit);
        if (read_export_lock(changed))
          CHECK_FALSE(open_export(changed, e.key));
      }
  }

  TEST_CASE("no length but its own will do") {
    example e;
    for (std::size_t size = 0; size < e.octets.size(); ++size)
      CHECK_FALSE(read_export_lock(byte_view{e.octets}.first(size)));
    e.octets.push_back(0);
    const auto grown = read_export_lock(e.octets);
    REQUIRE_FALSE(grown);
    CHECK(grown.error().code == errc::damage);
  }

  TEST_CASE("a file that wants gigabytes is refused before it gets any") {
    example e;
    constexpr auto kind_offset = 6;
    constexpr auto cost_offset = 7;
    e.octets[kind_offset] = 1;
    for (auto cost = 0; cost < 256; ++cost) {
      CAPTURE(cost);
      e.octets[cost_offset] = static_cast<std::uint8_t>(cost);
      CHECK(static_cast<bool>(read_export_lock(e.octets))
            == (cost >= export_cost_min && cost <= export_cost_max));
    }
    e.octets[kind_offset] = 3;
    CHECK_FALSE(read_export_lock(e.octets));
    auto huge = byte_vector(export_size_max + 1);
    std::copy_n(example{}.octets.begin(), export_header_size, huge.begin());
    protocol::store_be(
      huge.data() + export_header_size - 4,
      static_cast<std::uint32_t>(huge.size() - export_header_size - 16));
    CHECK_FALSE(read_export_lock(huge));
  }

  TEST_CASE("a generation that cannot be counted on from is refused") {
    example e;
    e.content.gen = export_generation_max;
    CHECK(open_export(*seal_export(e.content, e.lock, e.key), e.key));
    ++e.content.gen;
    const auto opened
      = open_export(*seal_export(e.content, e.lock, e.key), e.key);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == errc::not_a_state);
  }

  TEST_CASE("a later format is named as such") {
    example e;
    e.octets[4] = 2;
    const auto refused = read_export_lock(e.octets);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::not_a_state);
    CHECK(refused.error().detail.find("later") != std::string::npos);
  }
}
