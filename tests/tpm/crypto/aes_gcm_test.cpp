#include "tpm/crypto/aes_gcm.hpp"

#include <algorithm>

#include <doctest/doctest.h>

#include "tests/tpm/hex.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::from_hex;
using vtpm::tests::to_hex;

namespace {

/// Test case 16 of "The Galois/Counter Mode of Operation (GCM)", which NIST's
/// validation suite took over.
struct published_case {
  byte_vector key = from_hex("feffe9928665731c6d6a8f9467308308"
                             "feffe9928665731c6d6a8f9467308308");
  aes_256_gcm::nonce iv{};
  byte_vector associated = from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  byte_vector plain
    = from_hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da"
               "2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
               "b16aedf5aa0de657ba637b39");
  byte_vector sealed
    = from_hex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c9"
               "7598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
               "c5f61e6393ba7a0abcc9f662");
  aes_256_gcm::tag tag{};

  published_case() {
    std::ranges::copy(from_hex("cafebabefacedbaddecaf888"), iv.begin());
    std::ranges::copy(from_hex("76fc6ece0f4e1768cddf8853bb2d551b"),
                      tag.begin());
  }
};

} // namespace

TEST_SUITE("tpm/crypto/aes_gcm") {
  TEST_CASE("a published vector is sealed, in any number of parts") {
    const published_case c;
    auto gcm = aes_256_gcm::make();
    REQUIRE(gcm);
    for (std::size_t cut = 0; cut <= c.plain.size(); ++cut) {
      const auto plain = byte_view{c.plain};
      const auto parts
        = std::array{plain.first(cut), byte_view{}, plain.subspan(cut)};
      auto out = byte_vector(c.plain.size());
      const auto tag = gcm->seal(c.key, c.iv, c.associated, parts, out);
      REQUIRE(tag);
      CHECK(out == c.sealed);
      CHECK(*tag == c.tag);
    }
  }

  TEST_CASE("nothing at all is sealed as published") {
    // Test case 13 of the same paper.
    auto gcm = aes_256_gcm::make();
    REQUIRE(gcm);
    const auto key = byte_vector(32);
    const auto tag = gcm->seal(key, {}, {}, {}, {});
    REQUIRE(tag);
    CHECK(to_hex(*tag) == "530f8afbc74536b9a963b4f1c4cb738b");
    const auto opened = gcm->open(key, {}, {}, {}, *tag, {});
    REQUIRE(opened);
    CHECK(*opened);
  }

  TEST_CASE("a published vector is opened") {
    const published_case c;
    auto gcm = aes_256_gcm::make();
    REQUIRE(gcm);
    auto out = byte_vector(c.sealed.size());
    const auto opened
      = gcm->open(c.key, c.iv, c.associated, c.sealed, c.tag, out);
    REQUIRE(opened);
    CHECK(*opened);
    CHECK(out == c.plain);
  }

  TEST_CASE("every changed bit and every cut is noticed, and nothing is left") {
    const published_case c;
    auto gcm = aes_256_gcm::make();
    REQUIRE(gcm);
    const auto check_refused = [&gcm](const published_case& bad) {
      auto out = byte_vector(bad.sealed.size(), 0xEE);
      const auto opened
        = gcm->open(bad.key, bad.iv, bad.associated, bad.sealed, bad.tag, out);
      REQUIRE(opened);
      CHECK_FALSE(*opened);
      CHECK(out == byte_vector(bad.sealed.size()));
    };
    const auto flip_all = [&](auto member) {
      for (std::size_t bit = 0; bit < (c.*member).size() * 8; ++bit) {
        auto bad = c;
        (bad.*member)[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
        check_refused(bad);
      }
    };
    flip_all(&published_case::key);
    flip_all(&published_case::iv);
    flip_all(&published_case::associated);
    flip_all(&published_case::sealed);
    flip_all(&published_case::tag);
    for (std::size_t size = 0; size < c.sealed.size(); ++size) {
      auto bad = c;
      bad.sealed.resize(size);
      check_refused(bad);
    }
    for (std::size_t size = 0; size < c.associated.size(); ++size) {
      auto bad = c;
      bad.associated.resize(size);
      check_refused(bad);
    }
  }

  TEST_CASE("after a refusal the same object still works") {
    const published_case c;
    auto gcm = aes_256_gcm::make();
    REQUIRE(gcm);
    auto out = byte_vector(c.sealed.size());
    CHECK_FALSE(*gcm->open(c.key, c.iv, {}, c.sealed, c.tag, out));
    CHECK(*gcm->open(c.key, c.iv, c.associated, c.sealed, c.tag, out));
  }
}
