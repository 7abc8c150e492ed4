#include "tpm/hardware/store_secret.hpp"

#include <doctest/doctest.h>

using namespace vtpm;
using namespace vtpm::tpm;

namespace {

bool equal(const store_secret& left, const store_secret& right) {
  return encode_store_secret(left) == encode_store_secret(right);
}

/// A recovery file under a key that costs nothing to make.
struct recovery {
  recovery()
    : secret(make_store_secret(counter_kind::strict, 0x01B07001)),
      lock(make_export_lock(export_lock_kind::key_file)),
      key(*derive_export_key(lock, byte_vector(32, 9))),
      octets(*seal_recovery(secret, lock, key)) {
    // nop
  }

  store_secret secret;
  export_lock lock;
  secret_bytes key;
  byte_vector octets;
};

} // namespace

TEST_SUITE("tpm/hardware/store_secret") {
  TEST_CASE("a secret is read back, with a counter and without") {
    for (const auto kind : {counter_kind::strict, counter_kind::orderly}) {
      const auto secret = make_store_secret(kind, 0x01B07001);
      const auto octets = encode_store_secret(secret);
      CHECK(octets.size() == store_secret_size);
      const auto back = decode_store_secret(octets);
      REQUIRE(back);
      REQUIRE(back->counter);
      CHECK(back->counter->kind == kind);
      CHECK(back->counter->index == 0x01B07001);
      CHECK(back->counter->auth == secret.counter->auth);
      CHECK(back->key.octets == secret.key.octets);
    }
    const auto plain = make_store_secret(std::nullopt, 0);
    const auto back = decode_store_secret(encode_store_secret(plain));
    REQUIRE(back);
    CHECK_FALSE(back->counter);
    CHECK(back->key.octets == plain.key.octets);
  }

  TEST_CASE("two secrets have nothing in common") {
    const auto one = make_store_secret(counter_kind::strict, 1);
    const auto two = make_store_secret(counter_kind::strict, 1);
    CHECK(one.key.octets != two.key.octets);
    CHECK(one.counter->auth != two.counter->auth);
  }

  TEST_CASE("what is no secret is refused") {
    const auto octets
      = encode_store_secret(make_store_secret(counter_kind::strict, 1));
    for (std::size_t size = 0; size < octets.size(); ++size)
      CHECK_FALSE(decode_store_secret(byte_view{octets}.first(size)));
    for (const auto kind : {0, 3, 255}) {
      auto other = octets;
      other[local_key::size] = static_cast<std::uint8_t>(kind);
      CHECK_FALSE(decode_store_secret(other));
    }
  }

  TEST_CASE("a recovery file opens with its key, and gives it all back") {
    const recovery r;
    const auto lock = read_recovery_lock(r.octets);
    REQUIRE(lock);
    CHECK(lock->salt == r.lock.salt);
    const auto key = derive_export_key(*lock, byte_vector(32, 9));
    const auto opened = open_recovery(r.octets, *key);
    REQUIRE(opened);
    CHECK(equal(*opened, r.secret));
    const auto other = derive_export_key(*lock, byte_vector(32, 8));
    CHECK(open_recovery(r.octets, *other).error().code == errc::wrong_key);
  }

  TEST_CASE("a recovery file with any bit changed does not open") {
    const recovery r;
    for (std::size_t bit = 0; bit < r.octets.size() * 8; ++bit) {
      auto changed = r.octets;
      changed[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
      CAPTURE(bit);
      if (read_recovery_lock(changed))
        CHECK_FALSE(open_recovery(changed, r.key));
    }
  }

  TEST_CASE("a recovery file of any other length is none") {
    const recovery r;
    auto longer = r.octets;
    longer.push_back(0);
    CHECK_FALSE(read_recovery_lock(longer));
    for (std::size_t size = 0; size < r.octets.size(); ++size)
      CHECK_FALSE(read_recovery_lock(byte_view{r.octets}.first(size)));
  }
}
