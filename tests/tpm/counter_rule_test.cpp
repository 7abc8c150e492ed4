// Goal: no innocent cut is called a rollback, and no rollback is missed that
// the counter can show.
// Method: every history of six events, of a store and its counter, with
// every image there ever was put back at its end.

#include "tpm/counter_rule.hpp"

#include <iterator>
#include <vector>

#include <doctest/doctest.h>

#include "tests/tpm/hardware/hardware_double.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::hardware_double;

namespace {

/// What can happen to a manager and its TPM.
enum class event {
  /// A commit from its image to the acknowledgement.
  commit,
  /// The manager dies with the image durable and the counter as it was.
  cut_before_raise,
  /// The manager dies between two increments, where there are two.
  cut_in_raise,
  /// The machine is turned off in good order, or otherwise; the manager is
  /// not started again yet.
  power_off,
  power_cut,
};

constexpr event events[]
  = {event::commit, event::cut_before_raise, event::cut_in_raise,
     event::power_off, event::power_cut};

constexpr auto event_count = static_cast<unsigned>(std::size(events));

/// A store, of which only the numbers matter, and its counter.
struct history {
  explicit history(counter_kind kind) : counter{0x01800001, kind, {}} {
    const auto first = hardware.define_counter(counter);
    images.push_back(next_number(*first));
    raise(images.back());
  }

  counter_reading reading() {
    return *hardware.read_counter(counter);
  }

  void count() {
    REQUIRE(hardware.increment_counter(counter));
  }

  void raise(std::uint64_t target) {
    while (reading().value < target)
      count();
  }

  /// Opens the newest image, as a manager that starts does, and commits it
  /// once more: numbers of images that never were acknowledged are used up.
  void start() {
    const auto verdict = judge(images.back(), reading());
    REQUIRE(verdict);
    if (verdict->unsure == 0)
      acknowledged = images.size() - 1;
    if (verdict->ahead)
      raise(images.back());
    running = true;
    commit();
  }

  void commit() {
    images.push_back(next_number(reading()));
    raise(images.back());
    acknowledged = images.size() - 1;
    jumped = false;
  }

  void happen(event what) {
    switch (what) {
      case event::power_off:
      case event::power_cut:
        running = false;
        hardware.lose_power(what == event::power_off);
        jumped |= what == event::power_cut;
        return;
      case event::commit:
        if (!running)
          start();
        commit();
        return;
      case event::cut_before_raise:
      case event::cut_in_raise:
        if (!running)
          start();
        images.push_back(next_number(reading()));
        if (what == event::cut_in_raise) {
          count();
          torn_raise |= reading().value < images.back();
        }
        running = false;
        return;
    }
  }

  hardware_double hardware;
  nv_counter counter;
  /// All images there ever were, by age.
  std::vector<std::uint64_t> images;
  std::size_t acknowledged = 0;
  bool running = true;
  /// Power was lost since the last commit.
  bool jumped = false;
  /// A manager died between two increments.
  bool torn_raise = false;
};

/// Returns the history that `number` names, a digit per event.
history replay(counter_kind kind, unsigned number, unsigned length) {
  auto out = history{kind};
  for (auto i = 0u; i < length; ++i, number /= event_count)
    out.happen(events[number % event_count]);
  return out;
}

constexpr unsigned length = 6;
constexpr unsigned histories = 5 * 5 * 5 * 5 * 5 * 5;
static_assert(event_count == 5);

} // namespace

TEST_SUITE("tpm/counter_rule") {
  TEST_CASE("the newest image is accepted, whatever has happened") {
    for (const auto kind : {counter_kind::strict, counter_kind::orderly})
      for (auto number = 0u; number < histories; ++number) {
        auto h = replay(kind, number, length);
        const auto verdict = judge(h.images.back(), h.reading());
        CAPTURE(number);
        REQUIRE(verdict);
      }
  }

  TEST_CASE("a strict counter shows every image that was put back") {
    for (auto number = 0u; number < histories; ++number) {
      auto h = replay(counter_kind::strict, number, length);
      for (std::size_t i = 0; i < h.acknowledged; ++i) {
        const auto verdict = judge(h.images[i], h.reading());
        CAPTURE(number);
        CAPTURE(i);
        REQUIRE_FALSE(verdict);
        CHECK(verdict.error().code == errc::rollback);
      }
    }
  }

  TEST_CASE("an orderly counter shows them as long as it has kept its power") {
    auto shown = 0;
    for (auto number = 0u; number < histories; ++number) {
      auto h = replay(counter_kind::orderly, number, length);
      if (h.jumped || h.torn_raise)
        continue;
      for (std::size_t i = 0; i < h.acknowledged; ++i) {
        CAPTURE(number);
        CAPTURE(i);
        REQUIRE_FALSE(judge(h.images[i], h.reading()));
        ++shown;
      }
    }
    CHECK(shown > 1000);
  }

  TEST_CASE("after a jump an older image is accepted in its block, and said") {
    auto unsure = 0;
    for (auto number = 0u; number < histories; ++number) {
      auto h = replay(counter_kind::orderly, number, length);
      for (const auto image : h.images) {
        const auto verdict = judge(image, h.reading());
        if (!verdict)
          continue;
        CAPTURE(number);
        CHECK(verdict->unsure <= hardware_double::window);
        // Whatever is accepted and not known to be newest is said to be that.
        if (image < h.images[h.acknowledged])
          CHECK(verdict->unsure >= h.images[h.acknowledged] - image);
        unsure += verdict->unsure > 0;
      }
    }
    CHECK(unsure > 1000);
  }

  TEST_CASE("an orderly counter rests nowhere that a jump leads to") {
    auto reading = counter_reading{1, 255};
    for (auto i = 0; i < 2000; ++i) {
      const auto next = next_number(reading);
      CHECK(next > reading.value);
      CHECK(next <= reading.value + 2);
      CHECK((next & 255) != 255);
      reading.value = next;
    }
    CHECK(next_number({41, 0}) == 42);
    CHECK(next_number({254, 0}) == 255);
  }

  TEST_CASE("a counter that is far behind is not this store's") {
    for (const auto window : {0u, 255u}) {
      const auto verdict = judge(1000, {10, window});
      REQUIRE_FALSE(verdict);
      CHECK(verdict.error().code == errc::hardware);
    }
  }
}
