// Goal: damage to what was acknowledged is refused, never taken for a write
// that was cut short; damage to anything else does not matter.
// Method: change every octet, every sector and every field, and open.

#include <numeric>

#include "protocol/big_endian.hpp"
#include "tests/tpm/store_fixture.hpp"
#include "tpm/crypto/crc32c.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::key_of;
using vtpm::tests::lying_disk;
using vtpm::tests::store_fixture;

namespace {

/// One block, so that trying every octet takes little.
constexpr std::size_t small = 100;

constexpr std::size_t small_image = 4096;

/// Four commits: both slots have been written twice, slot 1 is live at 4 and
/// slot 0 holds 3.
struct damaged_fixture : store_fixture {
  byte_vector at_two;
  byte_vector at_three;

  damaged_fixture() {
    create();
    commit(1, small);
    commit(2, small);
    at_two = disk.visible;
    commit(3, small);
    at_three = disk.visible;
    commit(4, small);
  }

  std::span<std::uint8_t> live() {
    return disk.slot(1);
  }

  std::span<std::uint8_t> older() {
    return disk.slot(0);
  }

  std::span<std::uint8_t> sector(unsigned slot, std::size_t index) {
    return disk.slot(slot).subspan(index * sector_size, sector_size);
  }

  /// Returns slot 1 as it was in an earlier copy of the disk.
  static byte_view slot_one_of(const byte_vector& copy) {
    return byte_view{copy}.subspan(slot_size, slot_size);
  }

  static byte_view slot_zero_of(const byte_vector& copy) {
    return byte_view{copy}.first(slot_size);
  }

  static void put(byte_view source, std::span<std::uint8_t> target) {
    std::copy(source.begin(), source.end(), target.begin());
  }

  void check_older_only_if_accepted(errc code) {
    check_refused(code);
    auto opened = open(true);
    REQUIRE(opened);
    CHECK(store->latest().through() == 3);
    CHECK(vtpm::tests::equal(*state, vtpm::tests::state_of(3, small)));
  }
};

/// Makes a sector whole again after it was changed.
void fix_crc(std::span<std::uint8_t> sector) {
  const auto body = sector.first(sector_size - crc_size);
  protocol::store_be(sector.data() + body.size(), crc32c(body));
}

} // namespace

TEST_SUITE("tpm/state_store_damage") {
  TEST_CASE("every octet of the live image is guarded") {
    damaged_fixture f;
    for (std::size_t i = 0; i < small_image; ++i) {
      CAPTURE(i);
      const auto bit = static_cast<std::uint8_t>(1u << (i % 8));
      f.live()[i] ^= bit;
      f.check_refused(errc::damage);
      f.live()[i] ^= bit;
    }
    f.check_opens_at(4, small);
    f.live()[700] ^= 1;
    f.check_older_only_if_accepted(errc::damage);
  }

  TEST_CASE("no octet of the older image matters") {
    damaged_fixture f;
    for (std::size_t i = 0; i < small_image; ++i) {
      CAPTURE(i);
      const auto bit = static_cast<std::uint8_t>(1u << (i % 8));
      f.older()[i] ^= bit;
      f.check_opens_at(4, small);
      f.older()[i] ^= bit;
    }
  }

  TEST_CASE("what lies behind the images does not matter") {
    damaged_fixture f;
    for (std::size_t i = small_image; i < slot_size; i += 4099) {
      f.live()[i] ^= 0x55;
      f.older()[i] ^= 0x55;
    }
    f.check_opens_at(4, small);
  }

  TEST_CASE("any set of damaged sectors in the live image is refused") {
    damaged_fixture f;
    const auto whole = f.disk.visible;
    for (auto mask = 1u; mask < 256; ++mask) {
      CAPTURE(mask);
      f.disk.visible = whole;
      for (std::size_t i = 0; i < 8; ++i)
        if ((mask >> i & 1) != 0)
          f.sector(1, i)[i * 60] ^= 0x80;
      f.check_refused(errc::damage);
    }
  }

  TEST_CASE("a live slot cut off at any sector is refused") {
    damaged_fixture f;
    for (std::size_t i = small_image; i-- > 0;)
      if (i % sector_size == 0) {
        CAPTURE(i);
        std::fill(f.live().begin() + static_cast<std::ptrdiff_t>(i),
                  f.live().end(), std::uint8_t{0});
        f.check_older_only_if_accepted(errc::damage);
      }
  }

  TEST_CASE("an older slot cut off at any sector does not matter") {
    damaged_fixture f;
    for (std::size_t i = small_image; i > 0; i -= sector_size) {
      CAPTURE(i);
      std::fill(f.older().begin() + static_cast<std::ptrdiff_t>(i),
                f.older().end(), std::uint8_t{0});
      f.check_opens_at(4, small);
    }
  }

  TEST_CASE("an older slot that is gone altogether may have been the newer") {
    damaged_fixture f;
    std::fill(f.older().begin(), f.older().end(), std::uint8_t{0});
    f.check_refused(errc::damage);
    REQUIRE(f.open(true));
    CHECK(f.store->latest().through() == 4);
  }

  TEST_CASE("slots that changed places are refused") {
    damaged_fixture f;
    std::swap_ranges(f.live().begin(), f.live().end(), f.older().begin());
    f.check_refused(errc::damage);
    f.check_refused(errc::damage, true);
  }

  TEST_CASE("a slot copied over the other is refused") {
    damaged_fixture f;
    f.put(f.live(), f.older());
    f.check_refused(errc::damage);
    damaged_fixture g;
    g.put(g.older(), g.live());
    g.check_older_only_if_accepted(errc::damage);
  }

  TEST_CASE("a sector that landed in the wrong place is refused") {
    damaged_fixture f;
    const auto whole = f.disk.visible;
    for (std::size_t to = 0; to < 8; ++to)
      for (std::size_t from = 0; from < 8; ++from) {
        CAPTURE(to);
        CAPTURE(from);
        if (from != to) {
          f.put(f.sector(1, from), f.sector(1, to));
          f.check_refused(errc::damage);
          f.disk.visible = whole;
        }
        f.put(f.sector(0, from), f.sector(1, to));
        f.check_refused(errc::damage);
        f.disk.visible = whole;
      }
  }

  TEST_CASE("a sector of another TPM in the right place is refused") {
    damaged_fixture f;
    store_fixture other;
    other.id[0] ^= 1;
    other.create();
    other.commit(1, small);
    other.commit(2, small);
    for (std::size_t i = 0; i < 8; ++i) {
      CAPTURE(i);
      const auto kept
        = byte_vector(f.sector(1, i).begin(), f.sector(1, i).end());
      f.put(other.disk.slot(1).subspan(i * sector_size, sector_size),
            f.sector(1, i));
      f.check_refused(errc::damage);
      f.put(kept, f.sector(1, i));
    }
  }

  TEST_CASE("limit: a disk that lost an acknowledged sector looks torn") {
    damaged_fixture f;
    f.put(f.slot_one_of(f.at_two).subspan(sector_size, sector_size),
          f.sector(1, 1));
    f.check_opens_at(3, small);
  }

  TEST_CASE("limit: the newest slot as it was one commit ago is accepted") {
    damaged_fixture f;
    f.put(f.slot_one_of(f.at_three), f.live());
    f.check_opens_at(3, small);
  }

  TEST_CASE("limit: the whole disk as it was is accepted") {
    damaged_fixture f;
    f.disk.visible = f.at_two;
    f.check_opens_at(2, small);
  }

  TEST_CASE("a slot from further back is a rollback") {
    damaged_fixture f;
    f.commit(5, small);
    f.commit(6, small);
    const auto at_six = f.disk.visible;
    // Slot 1 held 6, 4 and 2; slot 0 holds 5 and followed 4.
    f.put(f.slot_one_of(f.at_two), f.live());
    f.check_refused(errc::rollback);
    REQUIRE(f.open(true));
    CHECK(f.store->latest().through() == 5);
    // The other way round: slot 0 with 3 is not what 6 followed.
    f.disk.visible = at_six;
    f.put(f.slot_zero_of(f.at_three), f.older());
    f.check_refused(errc::rollback);
    REQUIRE(f.open(true));
    CHECK(f.store->latest().through() == 6);
  }

  TEST_CASE("a torn slot remembers that the other held more") {
    damaged_fixture f;
    const auto write = f.prepare(5, small);
    REQUIRE(write.offset == 0);
    f.put(write.data.first(5 * sector_size), f.older());
    f.check_opens_at(4, small);
    f.put(f.slot_one_of(f.at_two), f.live());
    f.check_refused(errc::rollback);
    REQUIRE(f.open(true));
    CHECK(f.store->latest().through() == 2);
  }

  TEST_CASE("after an older state was accepted no trace of the other is left") {
    damaged_fixture f;
    f.live()[700] ^= 1;
    REQUIRE(f.open(true));
    auto write = f.prepare(4, small);
    CHECK(write.data.size() == slot_size);
    write = f.prepare(4, small);
    CHECK(write.data.size() == slot_size);
    f.disk.write_durably(write.offset, write.data);
    f.store->acknowledge();
    f.check_opens_at(4, small);
    CHECK(f.prepare(5, small).data.size() == small_image);
  }

  TEST_CASE("something else in one slot or in both is told apart") {
    damaged_fixture f;
    for (auto& octet : f.live())
      octet = static_cast<std::uint8_t>(f.disk.random());
    f.check_older_only_if_accepted(errc::damage);
    for (auto& octet : f.older())
      octet = static_cast<std::uint8_t>(f.disk.random());
    f.check_refused(errc::not_a_state);
    f.check_refused(errc::not_a_state, true);
  }

  TEST_CASE("a later format is refused, not rolled back") {
    damaged_fixture f;
    for (const auto index : {0u, 3u, 7u}) {
      const auto kept = f.disk.visible;
      f.sector(1, index)[4] = 2;
      fix_crc(f.sector(1, index));
      f.check_refused(errc::not_a_state);
      f.check_refused(errc::not_a_state, true);
      f.disk.visible = kept;
    }
  }

  TEST_CASE("sealed octets changed with a good CRC do not open") {
    damaged_fixture f;
    f.sector(1, 0)[200] ^= 1;
    fix_crc(f.sector(1, 0));
    f.check_older_only_if_accepted(errc::damage);
    f.sector(0, 0)[200] ^= 1;
    fix_crc(f.sector(0, 0));
    f.check_refused(errc::wrong_key);
  }

  TEST_CASE("an older slot that does not open does not matter") {
    damaged_fixture f;
    f.sector(0, 0)[200] ^= 1;
    fix_crc(f.sector(0, 0));
    f.check_opens_at(4, small);
  }

  TEST_CASE("no field of an image can be changed with good CRCs") {
    store_fixture f;
    f.create();
    f.commit(1, small);
    const auto whole = f.disk.visible;
    const auto sector = [&f](std::size_t index) {
      return f.disk.slot(0).subspan(index * sector_size, sector_size);
    };
    constexpr auto fields_end = frame_size + slot_header_size + 140;
    for (std::size_t i = 0; i < fields_end; ++i)
      for (auto bit = 0u; bit < 8; ++bit) {
        CAPTURE(i);
        f.disk.visible = whole;
        // Frame fields change in all sectors alike, the rest in the first.
        for (std::size_t index = 0; index < (i < frame_size ? 8 : 1); ++index) {
          sector(index)[i] ^= static_cast<std::uint8_t>(1u << bit);
          fix_crc(sector(index));
        }
        CHECK_FALSE(f.open(true));
      }
  }

  TEST_CASE("slots of two TPMs or of two histories are refused") {
    damaged_fixture f;
    store_fixture other;
    other.id[15] ^= 1;
    other.create();
    other.commit(4, small);
    other.commit(5, small);
    f.put(other.disk.slot(1), f.live());
    f.check_refused(errc::damage);
    damaged_fixture g;
    store_fixture forked;
    forked.create();
    forked.commit(4, small);
    g.put(forked.disk.slot(0), g.older());
    g.check_refused(errc::damage);
    g.check_refused(errc::damage, true);
  }

  TEST_CASE("sectors that cannot be read are damage, where they matter") {
    damaged_fixture f;
    f.disk.unreadable = {3};
    f.check_refused(errc::damage);
    REQUIRE(f.open(true));
    CHECK(f.store->latest().through() == 4);
    CHECK(f.found
          == "slot 0 cannot be read in full; slot 1 holds generation 4");
    f.disk.unreadable = {sectors_per_slot + 3};
    f.check_older_only_if_accepted(errc::damage);
    f.disk.unreadable = {100, sectors_per_slot + 100};
    f.check_opens_at(4, small);
    f.disk.unreadable = {3, sectors_per_slot + 3};
    f.check_refused(errc::damage);
  }

  TEST_CASE("a disk of which nothing can be read is an I/O error") {
    damaged_fixture f;
    for (std::size_t i = 0; i < 2 * sectors_per_slot; ++i)
      f.disk.unreadable.insert(i);
    f.check_refused(errc::io);
  }
}
