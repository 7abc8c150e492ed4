// Goal: polling memory saves wake-ups and takes nothing from anyone.
// Method: time limits so long, or so short, that the adaptive part decides the
// same way on any machine; then the polls are counted.

#include "actors/reactor.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <thread>

#include "tests/actors/reactor_fixture.hpp"

using namespace vtpm;
using namespace vtpm::actors;
using namespace vtpm::tests;

namespace {

/// Memory that the loop looks at until this goes.
class memory {
public:
  memory(reactor& loop, std::function<bool()> poll)
    : loop_(loop),
      id_(loop.call([&] { return loop.watch_memory(std::move(poll)); })) {
    // nop
  }

  memory(const memory&) = delete;
  memory& operator=(const memory&) = delete;

  ~memory() {
    loop_.call([this] { loop_.unwatch_memory(id_); });
  }

private:
  reactor& loop_;
  reactor::poll_id id_;
};

struct spin_fixture : reactor_fixture {
  /// Makes the loop spin while idle: with so long a limit every event comes
  /// soon enough, and the first few make it believe that.
  void start_spinning() {
    loop.spin_for(std::chrono::hours{1});
    for (auto i = 0; i < 4; ++i) {
      settle();
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
  }

  /// Waits until `count` has changed.
  static void wait_for_change(const std::atomic<int>& count) {
    const auto before = count.load();
    while (count == before)
      std::this_thread::yield();
  }
};

} // namespace

TEST_SUITE("actors/reactor_spin") {
  TEST_CASE_FIXTURE(spin_fixture, "nothing is polled unless asked for") {
    std::atomic<int> polls = 0;
    const memory counted{loop, [&] { return ++polls < 0; }};
    for (auto i = 0; i < 100; ++i)
      settle();
    CHECK(polls == 0);
  }

  TEST_CASE_FIXTURE(spin_fixture, "memory wakes the loop without a doorbell") {
    std::atomic<bool> flag = false;
    std::promise<bool> found;
    const memory flagged{loop, [&] {
                           if (!flag.exchange(false))
                             return false;
                           found.set_value(loop.on_loop_thread());
                           return true;
                         }};
    start_spinning();
    flag = true;
    CHECK(found.get_future().get());
  }

  TEST_CASE_FIXTURE(spin_fixture, "a find visits all memory") {
    std::array<std::atomic<int>, 3> polls{};
    std::atomic<bool> flag = false;
    std::array<int, 3> polls_at_find{};
    std::promise<void> found;
    const memory first{loop, [&] {
                         ++polls[0];
                         if (!flag.exchange(false))
                           return false;
                         loop.defer([&] {
                           for (auto i = 0u; i < polls.size(); ++i)
                             polls_at_find[i] = polls[i];
                           found.set_value();
                         });
                         return true;
                       }};
    const memory second{loop, [&] { return ++polls[1] < 0; }};
    const memory third{loop, [&] { return ++polls[2] < 0; }};
    start_spinning();
    flag = true;
    found.get_future().wait();
    loop.call([&] {
      CHECK(polls_at_find[0] > 0);
      CHECK(polls_at_find[1] == polls_at_find[0]);
      CHECK(polls_at_find[2] == polls_at_find[0]);
    });
  }

  TEST_CASE_FIXTURE(spin_fixture, "nothing is polled while spinning is held") {
    std::atomic<int> polls = 0;
    const memory counted{loop, [&] { return ++polls < 0; }};
    start_spinning();
    wait_for_change(polls);
    loop.call([&] {
      loop.hold_spin();
      loop.hold_spin();
    });
    loop.call([&] { loop.release_spin(); });
    const auto held_at = polls.load();
    for (auto i = 0; i < 100; ++i)
      settle();
    CHECK(polls == held_at);
    loop.call([&] { loop.release_spin(); });
    wait_for_change(polls);
  }

  TEST_CASE_FIXTURE(spin_fixture, "events that come late stop the polling") {
    // Nothing comes within a nanosecond, so spinning never pays.
    std::atomic<int> polls = 0;
    const memory counted{loop, [&] { return ++polls < 0; }};
    start_spinning();
    wait_for_change(polls);
    loop.spin_for(std::chrono::nanoseconds{1});
    for (auto i = 0; i < 100; ++i) {
      settle();
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    const auto given_up_at = polls.load();
    for (auto i = 0; i < 20; ++i) {
      settle();
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    CHECK(polls == given_up_at);
  }

  TEST_CASE_FIXTURE(spin_fixture, "endless finds leave room for the others") {
    doorbell bell;
    std::promise<void> heard;
    loop.watch(bell.fd, [&] {
      loop.unwatch(bell.fd);
      heard.set_value();
    });
    const memory endless{loop, [] { return true; }};
    start_spinning();
    bell.ring();
    heard.get_future().wait();
    const auto whom = spawn_counter();
    caf::delayed_anon_send(whom, std::chrono::milliseconds{2}, count_atom_v);
    while (ask<int>(whom, total_atom_v) == 0)
      std::this_thread::yield();
  }

  TEST_CASE_FIXTURE(spin_fixture, "a timer interrupts the spinning") {
    start_spinning();
    std::promise<void> fired;
    const auto whom
      = ends(system.spawn([&](caf::event_based_actor*) -> caf::behavior {
          return {[&](count_atom) { fired.set_value(); }};
        }));
    settle();
    caf::delayed_anon_send(whom, std::chrono::milliseconds{2}, count_atom_v);
    fired.get_future().wait();
  }

  TEST_CASE_FIXTURE(spin_fixture, "a poll may remove itself and others") {
    std::array<std::atomic<int>, 3> polls{};
    std::array<reactor::poll_id, 3> ids{};
    const auto token = std::make_shared<int>(0);
    loop.call([&] {
      for (auto i = 0u; i < ids.size(); ++i)
        ids[i] = loop.watch_memory([&, i, held = token] {
          ++polls[i];
          if (i == 0) {
            loop.unwatch_memory(ids[0]);
            loop.unwatch_memory(ids[1]);
          }
          return held.use_count() < 0;
        });
    });
    start_spinning();
    wait_for_change(polls[2]);
    CHECK(polls[0] == 1);
    CHECK(polls[1] == 0);
    CHECK(token.use_count() == 2);
    loop.call([&] {
      loop.unwatch_memory(ids[0]); // gone already
      loop.unwatch_memory(ids[2]);
      CHECK(token.use_count() == 1);
    });
  }

  TEST_CASE("a spinning loop stops") {
    spin_fixture world;
    world.start_spinning();
  }
}
