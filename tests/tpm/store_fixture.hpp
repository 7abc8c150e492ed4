#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include "tests/tpm/lying_disk.hpp"
#include "tpm/state_store.hpp"

// Makes failed checks print names instead of `{?}`.
namespace doctest {

template <>
struct StringMaker<vtpm::tpm::errc> {
  static String convert(vtpm::tpm::errc code) {
    return to_string(code);
  }
};

template <>
struct StringMaker<vtpm::tpm::slot_condition> {
  static String convert(vtpm::tpm::slot_condition condition) {
    return to_string(condition);
  }
};

} // namespace doctest

namespace vtpm::tests {

/// Returns a key of 32 equal octets.
inline tpm::local_key key_of(std::uint8_t octet) {
  return {tpm::secret_bytes(tpm::local_key::size, octet)};
}

/// Returns a state that no other generation has.
inline tpm::snapshot state_of(tpm::generation gen, std::size_t size = 3700) {
  auto out = tpm::snapshot{};
  out.permanent.assign(size, static_cast<std::uint8_t>(gen));
  for (std::size_t i = 0; i < 8 && i < size; ++i)
    out.permanent[i] = static_cast<std::uint8_t>(gen >> (8 * i));
  out.savestate.assign(gen % 3 * 100, static_cast<std::uint8_t>(~gen));
  return out;
}

inline bool equal(const tpm::snapshot& left, const tpm::snapshot& right) {
  return left.permanent == right.permanent && left.savestate == right.savestate;
}

/// Who keeps the keys.
enum class authority {
  /// A secret that opens everything.
  local,
  /// A record of the newest slot alone: what the TPM Manager does.
  recording,
};

/// A store on a lying disk, and the verbs of a test about it.
struct store_fixture {
  lying_disk disk;
  authority who = authority::local;
  /// What the authority `recording` holds.
  std::optional<tpm::key_record> record;
  tpm::local_key key = key_of(0x4B);
  tpm::uuid id{0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
               0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F};
  std::unique_ptr<tpm::state_store> store;
  /// What the last `open` found.
  tpm::snapshot_ptr state;
  std::string found;

  explicit store_fixture(std::uint64_t seed = 1, std::size_t alignment = 4096)
    : disk(seed, alignment) {
    // nop
  }

  void create() {
    auto made = who == authority::local
      ? tpm::state_store::create(disk, key, tpm_version::v2_0, id)
      : tpm::state_store::create(disk, tpm_version::v2_0, id);
    REQUIRE(made);
    store = *std::move(made);
  }

  /// Opens and returns what happened; keeps the store if it worked.
  tpm::result<unit> open(bool accept_older = false) {
    store.reset();
    auto opened = who == authority::local
      ? tpm::state_store::open(disk, key, std::nullopt, accept_older)
      : tpm::state_store::open(disk, record.value(), std::nullopt);
    if (!opened)
      return opened.error();
    store = std::move(opened->store);
    state = opened->state;
    found = opened->found;
    return unit{};
  }

  tpm::slot_write prepare(tpm::generation gen, std::size_t size = 3700) {
    auto write = store->prepare(gen, state_of(gen, size));
    REQUIRE(write);
    return *std::move(write);
  }

  /// Commits and acknowledges.
  void commit(tpm::generation gen, std::size_t size = 3700) {
    auto write = prepare(gen, size);
    disk.write_durably(write.offset, write.data);
    record = std::move(write.record);
    CHECK(store->acknowledge().through() == gen);
  }

  /// Opens; fails the test unless generation `gen` is what is found.
  void check_opens_at(tpm::generation gen, std::size_t size = 3700) {
    auto opened = open();
    if (!opened)
      FAIL(opened.error().detail);
    REQUIRE(store->latest().through() == gen);
    CHECK(equal(*state, state_of(gen, size)));
  }

  /// Opens; fails the test unless that is refused with `code`.
  void check_refused(tpm::errc code, bool accept_older = false) {
    auto opened = open(accept_older);
    REQUIRE_FALSE(opened);
    CAPTURE(opened.error().detail);
    CHECK(opened.error().code == code);
  }
};

} // namespace vtpm::tests
