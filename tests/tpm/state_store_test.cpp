#include "tpm/state_store.hpp"

#include <set>
#include <string>

#include "tests/tpm/store_fixture.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::key_of;
using vtpm::tests::lying_disk;
using vtpm::tests::state_of;
using vtpm::tests::store_fixture;

TEST_SUITE("tpm/state_store") {
  TEST_CASE("a new store holds generation zero and nothing to open") {
    store_fixture f;
    f.create();
    CHECK(f.store->latest().through() == 0);
    CHECK(f.store->status().durable == 0);
    CHECK(f.store->status().id == f.id);
    CHECK(f.store->status().version == tpm_version::v2_0);
    f.check_refused(errc::not_a_state);
  }

  TEST_CASE("what was acknowledged is what is opened, commit after commit") {
    store_fixture f;
    f.create();
    for (generation gen = 3; gen < 40; gen += 3) {
      f.commit(gen, gen * 997 % 9000);
      f.check_opens_at(gen, gen * 997 % 9000);
      CHECK(f.store->status().id == f.id);
      CHECK(f.store->status().version == tpm_version::v2_0);
    }
  }

  TEST_CASE("an empty state and an empty savestate survive") {
    store_fixture f;
    f.create();
    const auto write = *f.store->prepare(1, snapshot{});
    f.disk.write_durably(write.offset, write.data);
    f.store->acknowledge();
    REQUIRE(f.open());
    CHECK(f.state->permanent.empty());
    CHECK(f.state->savestate.empty());
  }

  TEST_CASE("slots alternate and the live one is never written") {
    store_fixture f;
    f.create();
    f.commit(1);
    for (generation gen = 2; gen < 10; ++gen) {
      const auto live = f.store->status().live_slot;
      const auto write = f.prepare(gen);
      CHECK(write.offset == (1 - live) * slot_size);
      f.disk.write_durably(write.offset, write.data);
      f.store->acknowledge();
      CHECK(f.store->status().live_slot == 1 - live);
    }
  }

  TEST_CASE("a failed write is repeated in the same slot with newer state") {
    store_fixture f;
    f.create();
    f.commit(1);
    const auto first = f.prepare(2).offset;
    const auto second = f.prepare(2);
    CHECK(second.offset == first);
    const auto third = f.prepare(5);
    CHECK(third.offset == first);
    f.disk.write_durably(third.offset, third.data);
    CHECK(f.store->acknowledge().through() == 5);
    f.check_opens_at(5);
  }

  TEST_CASE("no receipt covers what was only prepared") {
    store_fixture f;
    f.create();
    f.commit(1);
    f.prepare(2);
    CHECK(f.store->latest().through() == 1);
    CHECK(durable_receipt{}.through() == 0);
  }

  TEST_CASE("every write has its own key and its own ciphertext") {
    store_fixture f;
    f.create();
    auto keys = std::set<std::string>{};
    auto images = std::set<std::string>{};
    for (auto i = 0; i < 50; ++i) {
      const auto write = f.prepare(1);
      keys.insert({write.record.key.begin(), write.record.key.end()});
      images.insert({write.data.begin(), write.data.end()});
      CHECK(write.record.key.size() == 32);
    }
    CHECK(keys.size() == 50);
    CHECK(images.size() == 50);
  }

  TEST_CASE("nothing of the state is readable on the disk") {
    store_fixture f;
    f.create();
    f.commit(1);
    const auto octets = f.disk.slot(0);
    const auto needle = byte_vector(16, 0x01);
    CHECK(
      std::search(octets.begin(), octets.end(), needle.begin(), needle.end())
      == octets.end());
  }

  TEST_CASE("a write is aligned and covers the used part only") {
    for (const auto alignment : {512u, 4096u, 16384u, 262144u}) {
      CAPTURE(alignment);
      store_fixture f{1, alignment};
      f.create();
      for (const auto size : {0u, 1u, 3000u, 8000u, 200000u}) {
        const auto write = f.prepare(1, size);
        CHECK(write.offset % alignment == 0);
        CHECK(write.data.size() % alignment == 0);
        CHECK(write.data.size() % image_unit == 0);
        CHECK(reinterpret_cast<std::uintptr_t>(write.data.data()) % alignment
              == 0);
        CHECK(write.data.size() <= slot_size);
        CHECK(write.data.size()
              <= std::max<std::size_t>(alignment, size * 12 / 10 + 8192));
      }
    }
  }

  TEST_CASE("alignments that no slot can meet are refused") {
    for (const auto alignment : {256u, 3000u, 524288u}) {
      lying_disk disk{1, alignment};
      auto made = state_store::create(disk, key_of(1), tpm_version::v1_2, {});
      REQUIRE_FALSE(made);
      CHECK(made.error().code == errc::unusable);
    }
  }

  TEST_CASE("the largest 2.0 state fits, and one that does not is refused") {
    store_fixture f;
    f.create();
    f.commit(1, 176832 + 20 * 1024);
    f.check_opens_at(1, 176832 + 20 * 1024);
    const auto overhead = 3 * 6 + 32u;
    CHECK(f.store->prepare(3, state_of(3, sealed_size_max - overhead)));
    auto too_large = f.store->prepare(3, state_of(3, sealed_size_max));
    REQUIRE_FALSE(too_large);
    CHECK(too_large.error().code == errc::too_large);
    CHECK(f.store->prepare(3, state_of(3)));
  }

  TEST_CASE("a long image under a short one does not disturb") {
    store_fixture f;
    f.create();
    f.commit(3, 100000);
    f.commit(6, 100000);
    f.commit(9, 10);
    f.check_opens_at(9, 10);
    f.commit(12, 10);
    f.check_opens_at(12, 10);
  }

  TEST_CASE("creating refuses whatever is there") {
    store_fixture f;
    f.create();
    f.commit(1);
    auto again = state_store::create(f.disk, f.key, tpm_version::v2_0, f.id);
    REQUIRE_FALSE(again);
    CHECK(again.error().code == errc::exists);
    for (const auto offset : {std::size_t{0}, slot_size, 2 * slot_size - 1}) {
      lying_disk disk;
      disk.visible[offset] = 1;
      auto made = state_store::create(disk, f.key, tpm_version::v2_0, f.id);
      REQUIRE_FALSE(made);
      CHECK(made.error().code == errc::exists);
    }
  }

  TEST_CASE("the expected version is checked") {
    store_fixture f;
    f.create();
    f.commit(1);
    CHECK(state_store::open(f.disk, f.key, tpm_version::v2_0, false));
    auto other = state_store::open(f.disk, f.key, tpm_version::v1_2, false);
    REQUIRE_FALSE(other);
    CHECK(other.error().code == errc::other_version);
  }

  TEST_CASE("another key is told from damage, with one slot and with two") {
    store_fixture f;
    f.create();
    f.commit(1);
    f.key = key_of(0x4C);
    f.check_refused(errc::wrong_key);
    f.check_refused(errc::wrong_key, true);
    f.key = key_of(0x4B);
    f.check_opens_at(1);
    f.commit(2);
    f.key = key_of(0x4C);
    f.check_refused(errc::wrong_key);
    f.check_refused(errc::wrong_key, true);
  }

  TEST_CASE("what is found is told slot by slot") {
    store_fixture f;
    f.create();
    f.commit(7);
    REQUIRE(f.open());
    CHECK(f.found == "slot 0 holds generation 7; slot 1 is empty");
    f.commit(9);
    REQUIRE(f.open());
    CHECK(f.found == "slot 0 holds generation 7; slot 1 holds generation 9");
  }

  TEST_CASE("nothing counts as durable before the disk was synced") {
    store_fixture f;
    f.create();
    f.commit(1);
    // Written whole, never acknowledged, and still in the disk's cache when the
    // next process opens it and builds on it.
    const auto write = f.prepare(2);
    f.disk.write(write.offset, write.data);
    f.check_opens_at(2);
    const auto next = f.prepare(3);
    f.disk.in_flight = {next.offset, {next.data.begin(), next.data.end()}};
    f.disk.cut_power();
    REQUIRE(f.open());
    CHECK(f.store->latest().through() >= 2);
  }

  TEST_CASE("a disk that does not sync is not opened") {
    store_fixture f;
    f.create();
    f.commit(1);
    f.disk.fail_next_sync = EIO;
    f.check_refused(errc::io);
    f.check_opens_at(1);
  }
}
