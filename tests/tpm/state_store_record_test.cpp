// Goal: with a key authority that keeps records nothing but the newest
// acknowledged state is ever opened, and that one whatever the other slot
// holds. Method: a record kept in memory; the disk is changed in every way, and
// what had been acknowledged before is put back.

#include "protocol/big_endian.hpp"
#include "tests/tpm/store_fixture.hpp"
#include "tpm/crypto/crc32c.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::authority;
using vtpm::tests::equal;
using vtpm::tests::state_of;
using vtpm::tests::store_fixture;

namespace {

/// One block, so that trying every octet takes little.
constexpr std::size_t small = 100;

constexpr std::size_t small_image = 4096;

/// Slot 1 is live at 4, slot 0 holds 3; both have been written twice.
struct recorded_fixture : store_fixture {
  /// The disk after each commit.
  std::vector<byte_vector> past;

  recorded_fixture() {
    who = authority::recording;
    create();
    for (generation gen = 1; gen <= 4; ++gen) {
      commit(gen, small);
      past.push_back(disk.visible);
    }
  }

  std::span<std::uint8_t> live() {
    return disk.slot(1);
  }

  std::span<std::uint8_t> other() {
    return disk.slot(0);
  }

  /// Returns a slot as it was after commit `gen`.
  byte_view slot_at(generation gen, unsigned slot) const {
    return byte_view{past.at(gen - 1)}.subspan(slot * slot_size, slot_size);
  }

  static void put(byte_view source, std::span<std::uint8_t> target) {
    std::copy(source.begin(), source.end(), target.begin());
  }
};

void fix_crc(std::span<std::uint8_t> sector) {
  const auto body = sector.first(sector_size - crc_size);
  protocol::store_be(sector.data() + body.size(), crc32c(body));
}

} // namespace

TEST_SUITE("tpm/state_store_record") {
  TEST_CASE("what was acknowledged is opened, and gone on from") {
    recorded_fixture f;
    f.check_opens_at(4, small);
    CHECK(f.store->status().live_slot == 1);
    CHECK(f.store->status().id == f.id);
    f.commit(7, small);
    f.check_opens_at(7, small);
  }

  TEST_CASE("every writing has a key of its own") {
    recorded_fixture f;
    const auto one = f.prepare(5, small);
    const auto two = f.prepare(5, small);
    CHECK(one.record.key != two.record.key);
    CHECK(one.record.slot_digest != two.record.slot_digest);
    CHECK(one.record.key != f.record->key);
  }

  TEST_CASE("every octet of the live image is guarded") {
    recorded_fixture f;
    for (std::size_t i = 0; i < small_image; ++i) {
      CAPTURE(i);
      const auto bit = static_cast<std::uint8_t>(1u << (i % 8));
      f.live()[i] ^= bit;
      // The other slot is whole and is not what is on record.
      f.check_refused(errc::rollback);
      f.live()[i] ^= bit;
    }
    f.live()[700] ^= 1;
    f.other()[700] ^= 1;
    f.check_refused(errc::damage);
  }

  TEST_CASE("octets changed with a good CRC are not what is on record") {
    recorded_fixture f;
    for (std::size_t i = 0; i < sector_size - crc_size; ++i) {
      CAPTURE(i);
      const auto kept = f.disk.visible;
      f.live()[i] ^= 1;
      fix_crc(f.live().first(sector_size));
      auto opened = f.open();
      CHECK_FALSE(opened);
      f.disk.visible = kept;
    }
  }

  TEST_CASE("whatever the other slot holds does not matter") {
    recorded_fixture f;
    for (std::size_t i = 0; i < small_image; i += 7) {
      CAPTURE(i);
      f.other()[i] ^= 0x10;
      f.check_opens_at(4, small);
      f.other()[i] ^= 0x10;
    }
    for (auto& octet : f.other())
      octet = static_cast<std::uint8_t>(f.disk.random());
    f.check_opens_at(4, small);
    f.put(f.live(), f.other());
    f.check_opens_at(4, small);
    std::fill(f.other().begin(), f.other().end(), std::uint8_t{0});
    f.check_opens_at(4, small);
    f.disk.unreadable = {0, 3, 100};
    f.check_opens_at(4, small);
    // And is written next.
    CHECK(f.prepare(5, small).offset == 0);
  }

  TEST_CASE("a live slot cut off at any sector is refused") {
    recorded_fixture f;
    for (auto i = small_image; i > 0; i -= sector_size) {
      CAPTURE(i);
      std::fill(f.live().begin() + static_cast<std::ptrdiff_t>(i - sector_size),
                f.live().end(), std::uint8_t{0});
      f.check_refused(errc::rollback);
    }
    f.disk.unreadable = {sectors_per_slot + 3};
    f.check_refused(errc::rollback);
  }

  TEST_CASE("slots that changed places are damage") {
    recorded_fixture f;
    std::swap_ranges(f.live().begin(), f.live().end(), f.other().begin());
    f.check_refused(errc::damage);
  }

  TEST_CASE("sectors in the wrong place are refused") {
    recorded_fixture f;
    const auto whole = f.disk.visible;
    for (std::size_t to = 0; to < 8; ++to)
      for (auto from = 0u; from < 16; ++from)
        if (from != 8 + to) {
          CAPTURE(to);
          CAPTURE(from);
          const auto source = f.disk.slot(from / 8).subspan(
            from % 8 * sector_size, sector_size);
          f.put(source, f.live().subspan(to * sector_size, sector_size));
          f.check_refused(errc::rollback);
          f.disk.visible = whole;
        }
  }

  TEST_CASE("an old slot that was put back is a rollback, always") {
    recorded_fixture f;
    // The newest slot alone as it was one commit before, which authority
    // `local` cannot tell.
    f.put(f.slot_at(3, 1), f.live());
    f.check_refused(errc::rollback);
    f.put(f.slot_at(4, 1), f.live());
    f.check_opens_at(4, small);
    // The whole disk as it was after any earlier commit.
    for (generation gen = 1; gen < 4; ++gen) {
      CAPTURE(gen);
      f.disk.visible = f.past[gen - 1];
      f.check_refused(errc::rollback);
    }
    // Any mixture of slots that does not have the newest.
    for (generation zero = 1; zero <= 4; ++zero)
      for (generation one = 1; one < 4; ++one) {
        CAPTURE(zero);
        CAPTURE(one);
        f.put(f.slot_at(zero, 0), f.other());
        f.put(f.slot_at(one, 1), f.live());
        f.check_refused(errc::rollback);
      }
  }

  TEST_CASE("an empty disk is damage once something was acknowledged") {
    recorded_fixture f;
    std::fill(f.disk.visible.begin(), f.disk.visible.end(), std::uint8_t{0});
    f.check_refused(errc::damage);
  }

  TEST_CASE("a write whose record was never taken over had not happened") {
    recorded_fixture f;
    const auto write = f.prepare(5, small);
    f.disk.write_durably(write.offset, write.data);
    f.check_opens_at(4, small);
    // And goes nowhere: the slot is written again.
    f.commit(5, small);
    f.check_opens_at(5, small);
  }

  TEST_CASE("a record that was taken over unanswered has happened") {
    recorded_fixture f;
    auto write = f.prepare(5, small);
    f.disk.write_durably(write.offset, write.data);
    f.record = std::move(write.record);
    f.check_opens_at(5, small);
  }

  TEST_CASE("a record whose key is another one is named") {
    recorded_fixture f;
    f.record->key[0] ^= 1;
    f.check_refused(errc::wrong_key);
  }

  TEST_CASE("a state of the other version is named") {
    recorded_fixture f;
    const auto opened = state_store::open(f.disk, *f.record, tpm_version::v1_2);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == errc::other_version);
  }

  TEST_CASE("a later format in the live slot is not called damage") {
    recorded_fixture f;
    f.live()[4] = 2;
    fix_crc(f.live().first(sector_size));
    f.check_refused(errc::not_a_state);
  }

  TEST_CASE("the state that `local` keeps is not opened by a record") {
    store_fixture f;
    f.create();
    f.commit(1, small);
    f.who = authority::recording;
    f.record->slot_digest[0] ^= 1;
    f.check_refused(errc::rollback);
  }
}
