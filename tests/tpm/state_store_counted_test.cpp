// Goal: of a store that is counted, no cut is refused and nothing that was put
// back is accepted.
// Method: a store on a lying disk and a counter whose plug can be pulled, cut
// at every step of the order, and copies of the disk from every moment.

#include <functional>

#include "tests/tpm/hardware/hardware_double.hpp"
#include "tests/tpm/store_fixture.hpp"
#include "tpm/hardware/counter_keeper.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::equal;
using vtpm::tests::hardware_double;
using vtpm::tests::key_of;
using vtpm::tests::lying_disk;
using vtpm::tests::state_of;

namespace {

/// Where the power goes.
enum class cut {
  nowhere,
  before_write,
  in_write,
  before_raise,
  before_acknowledgement,
};

constexpr cut cuts[] = {cut::nowhere, cut::before_write, cut::in_write,
                        cut::before_raise, cut::before_acknowledgement};

/// A manager's disk and its hardware TPM.
struct counted_store {
  explicit counted_store(counter_kind kind)
    : counter{0x01800001, kind, secret_bytes(32, 1)} {
    REQUIRE(hardware.define_counter(counter));
    auto made
      = state_store::create(disk, key, tpm_version::v2_0, {}, reading());
    REQUIRE(made);
    store = *std::move(made);
    commit(++newest);
    acknowledged = newest;
  }

  counter_reading reading() {
    return *hardware.read_counter(counter);
  }

  /// Returns whether it came to the acknowledgement.
  bool commit(generation gen, cut where = cut::nowhere) {
    const auto write = store->prepare(gen, state_of(gen));
    REQUIRE(write);
    if (where == cut::before_write)
      return false;
    if (where == cut::in_write) {
      disk.write_some(write->offset, write->data);
      return false;
    }
    disk.write_durably(write->offset, write->data);
    written = gen;
    if (where == cut::before_raise)
      return false;
    REQUIRE(counter_keeper{hardware, counter}.raise(write->record.number));
    if (where == cut::before_acknowledgement)
      return false;
    REQUIRE(store->acknowledge().through() == gen);
    return true;
  }

  result<state_store::opened> open(bool adopt = false) {
    store.reset();
    return state_store::open(disk, key, std::nullopt, reading(), adopt);
  }

  /// Starts as a manager does: opens, raises, commits once more.
  void start() {
    auto opened = open();
    if (!opened)
      FAIL(opened.error().detail);
    store = std::move(opened->store);
    const auto found = store->latest().through();
    // Nothing acknowledged is lost, and nothing is there that never was.
    REQUIRE(found >= acknowledged);
    REQUIRE(found <= written);
    REQUIRE(equal(*opened->state, state_of(found)));
    if (opened->verdict.ahead)
      REQUIRE(counter_keeper{hardware, counter}.raise(opened->number));
    newest = std::max(newest, found) + 1;
    REQUIRE(commit(newest));
    acknowledged = newest;
  }

  /// One commit that is cut, and what comes after.
  void live_through(cut where) {
    if (commit(++newest, where))
      acknowledged = newest;
  }

  lying_disk disk;
  hardware_double hardware;
  nv_counter counter;
  local_key key = key_of(0x4B);
  std::unique_ptr<state_store> store;
  generation newest = 0;
  generation written = 0;
  generation acknowledged = 0;
};

} // namespace

TEST_SUITE("tpm/state_store/counted") {
  TEST_CASE("whatever is cut, the store opens with all it has acknowledged") {
    for (const auto kind : {counter_kind::strict, counter_kind::orderly})
      for (const auto first : cuts)
        for (const auto second : cuts)
          for (const auto in_order : {true, false}) {
            counted_store s{kind};
            for (const auto where : {first, second}) {
              s.live_through(where);
              s.disk.cut_power();
              s.hardware.lose_power(in_order);
              s.start();
            }
          }
  }

  TEST_CASE("a disk put back from any moment is refused, by a strict counter") {
    for (const auto where : cuts) {
      counted_store s{counter_kind::strict};
      auto copies = std::vector<byte_vector>{};
      for (auto i = 0; i < 4; ++i) {
        copies.push_back(s.disk.visible);
        s.live_through(i == 2 ? where : cut::nowhere);
        if (i == 2)
          s.start();
      }
      copies.push_back(s.disk.visible);
      s.hardware.lose_power(false);
      for (std::size_t i = 0; i < copies.size(); ++i) {
        s.disk.write_durably(0, copies[i]);
        const auto opened = s.open();
        CAPTURE(i);
        CHECK(static_cast<bool>(opened) == (i + 1 == copies.size()));
        if (!opened)
          CHECK(opened.error().code == errc::rollback);
      }
    }
  }

  TEST_CASE("an image that nobody has acknowledged is no way back, either") {
    counted_store s{counter_kind::strict};
    // Written whole, kept by who owns the disk, and reported as failed.
    const auto before = s.disk.visible;
    s.commit(++s.newest, cut::before_raise);
    const auto hidden = s.disk.visible;
    s.disk.write_durably(0, before);
    s.written = s.newest - 1;
    s.start();
    s.live_through(cut::nowhere);
    s.disk.write_durably(0, hidden);
    const auto opened = s.open();
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == errc::rollback);
  }

  TEST_CASE("a failed write is repeated as it was, for its number is used up") {
    counted_store s{counter_kind::strict};
    const auto first = s.store->prepare(7, state_of(7));
    REQUIRE(first);
    const auto image = byte_vector{first->data.begin(), first->data.end()};
    const auto again = s.store->prepare(9, state_of(9));
    REQUIRE(again);
    CHECK(std::ranges::equal(image, again->data));
    CHECK(again->record.number == first->record.number);
    CHECK(again->record.slot_digest == first->record.slot_digest);
    s.disk.write_durably(again->offset, again->data);
    CHECK(s.store->acknowledge().through() == 7);
    CHECK(s.store->prepare(9, state_of(9))->record.number
          == first->record.number + 1);
  }

  TEST_CASE("after a jump it is said how many commits may be missing") {
    counted_store s{counter_kind::orderly};
    const auto old = s.disk.visible;
    s.live_through(cut::nowhere);
    s.live_through(cut::nowhere);
    const auto newest = s.disk.visible;
    s.disk.write_durably(0, old);
    CHECK_FALSE(s.open());
    s.hardware.lose_power(false);
    const auto opened = s.open();
    REQUIRE(opened);
    CHECK(opened->verdict.unsure >= 2);
    CHECK(opened->verdict.unsure <= hardware_double::window);
    s.disk.write_durably(0, newest);
    s.start();
    s.disk.write_durably(0, old);
    CHECK_FALSE(s.open());
  }

  TEST_CASE("the number decides what a damaged slot leaves open") {
    counted_store s{counter_kind::strict};
    s.live_through(cut::nowhere);
    const auto live = s.store->status().live_slot;
    const auto intact = s.disk.visible;
    // The older one damaged: the live one has the counter's number.
    std::ranges::fill(s.disk.slot(1 - live), std::uint8_t{0xA5});
    CHECK(s.open());
    // The newest one damaged: the other is older, and that shows.
    s.disk.write_durably(0, intact);
    std::ranges::fill(s.disk.slot(live), std::uint8_t{0xA5});
    const auto opened = s.open();
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == errc::rollback);
  }

  TEST_CASE("a damaged slot stays an open question after a jump") {
    counted_store s{counter_kind::orderly};
    s.live_through(cut::nowhere);
    const auto live = s.store->status().live_slot;
    s.hardware.lose_power(false);
    std::ranges::fill(s.disk.slot(1 - live), std::uint8_t{0xA5});
    const auto opened = s.open();
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == errc::damage);
  }

  TEST_CASE("a counted state needs its counter, and the other way round") {
    counted_store s{counter_kind::strict};
    s.store.reset();
    const auto uncounted
      = state_store::open(s.disk, s.key, std::nullopt, false);
    REQUIRE_FALSE(uncounted);
    CHECK(uncounted.error().code == errc::unusable);
    tests::store_fixture plain;
    plain.create();
    plain.commit(1);
    plain.store.reset();
    const auto counted = state_store::open(plain.disk, plain.key, std::nullopt,
                                           s.reading(), false);
    REQUIRE_FALSE(counted);
    CHECK(counted.error().code == errc::rollback);
  }

  TEST_CASE("what is adopted goes on from its new counter") {
    tests::store_fixture plain;
    plain.create();
    plain.commit(1);
    plain.store.reset();
    hardware_double hardware;
    const auto counter
      = nv_counter{0x01800001, counter_kind::strict, secret_bytes(32, 1)};
    const auto reading = *hardware.define_counter(counter);
    auto opened = state_store::open(plain.disk, plain.key, std::nullopt,
                                    reading, /*adopt=*/true);
    REQUIRE(opened);
    const auto write = opened->store->prepare(2, state_of(2));
    REQUIRE(write);
    CHECK(write->record.number == reading.value + 1);
    plain.disk.write_durably(write->offset, write->data);
    REQUIRE(counter_keeper{hardware, counter}.raise(write->record.number));
    opened->store->acknowledge();
    CHECK(state_store::open(plain.disk, plain.key, std::nullopt,
                            *hardware.read_counter(counter), false));
  }
}
