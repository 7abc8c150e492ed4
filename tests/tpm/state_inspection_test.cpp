#include "tpm/state_inspection.hpp"

#include <algorithm>

#include "tests/tpm/store_fixture.hpp"
#include "tpm/crypto/sha256.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::key_of;
using vtpm::tests::store_fixture;

namespace {

/// Slot 1 is live at 2, slot 0 holds 1.
struct inspected_fixture : store_fixture {
  inspected_fixture() {
    create();
    commit(1);
    commit(2);
  }

  state_report report(const local_key* with = nullptr) {
    const auto before = disk.visible;
    auto made = inspect_state(disk, with);
    REQUIRE(made);
    CHECK(disk.visible == before);
    return *std::move(made);
  }
};

} // namespace

TEST_SUITE("tpm/state_inspection") {
  TEST_CASE("both slots are described, with a key and without") {
    inspected_fixture f;
    const auto found = f.report();
    CHECK_FALSE(found.refusal);
    CHECK(found.slots[1].live);
    CHECK_FALSE(found.slots[0].live);
    for (const auto slot : {0u, 1u}) {
      const auto& one = found.slots[slot];
      CHECK(one.condition == slot_condition::intact);
      REQUIRE(one.image);
      CHECK(one.image->gen == slot + 1);
      CHECK(one.image->parent == slot);
      CHECK(one.image->id == f.id);
      CHECK_FALSE(one.opens);
      CHECK(one.image_size == 8192);
      CHECK(one.digest
            == *sha_256::make()->hash(f.disk.slot(slot).first(8192)));
    }
    CHECK(found.slots[1].digest == f.record->slot_digest);
    const auto with_key = f.report(&f.key);
    CHECK(with_key.slots[0].opens == true);
    CHECK(with_key.slots[1].opens == true);
    const auto other = key_of(1);
    const auto refused = f.report(&other);
    CHECK(refused.slots[1].opens == false);
    REQUIRE(refused.refusal);
    CHECK(refused.refusal->code == errc::wrong_key);
  }

  TEST_CASE("the second slot is looked at whatever the first one is") {
    inspected_fixture f;
    for (auto& octet : f.disk.slot(0))
      octet = static_cast<std::uint8_t>(f.disk.random());
    CHECK(f.report().slots[0].condition == slot_condition::foreign);
    CHECK(f.report().slots[1].condition == slot_condition::intact);
    f.disk.unreadable = {3};
    CHECK(f.report().slots[0].unreadable);
    CHECK(f.report().slots[1].condition == slot_condition::intact);
  }

  TEST_CASE("what a vtpmd refuses is refused here, by the same name") {
    inspected_fixture f;
    f.disk.slot(1)[700] ^= 1;
    REQUIRE(f.report().refusal);
    CHECK(f.report().refusal->code == errc::damage);
    CHECK(f.report().slots[1].condition == slot_condition::damaged);
    std::fill(f.disk.visible.begin(), f.disk.visible.end(), std::uint8_t{0});
    CHECK(f.report().refusal->code == errc::not_a_state);
    CHECK(f.report().slots[0].condition == slot_condition::empty);
  }

  TEST_CASE("a write that was cut short is called torn") {
    inspected_fixture f;
    const auto write = f.prepare(3);
    std::copy_n(write.data.begin(), 5 * sector_size, f.disk.slot(0).begin());
    const auto found = f.report();
    CHECK(found.slots[0].condition == slot_condition::torn);
    CHECK(found.slots[1].live);
    CHECK_FALSE(found.refusal);
  }
}
