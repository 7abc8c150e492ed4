// Goal: timers fire once, in order, never early, and go when they are no longer
// wanted.
// Method: real time on a real reactor, with lower bounds only; what must be
// gone is looked up in the schedule.

#include "actors/reactor_clock.hpp"

#include <algorithm>
#include <functional>
#include <thread>
#include <vector>

#include <caf/event_based_actor.hpp>
#include <caf/group.hpp>
#include <caf/sec.hpp>

#include "tests/actors/reactor_fixture.hpp"

using namespace vtpm;
using namespace vtpm::actors;
using namespace vtpm::tests;

using std::chrono::milliseconds;
using steady = std::chrono::steady_clock;

namespace {

/// Longer than any test.
constexpr auto an_hour = std::chrono::seconds{3600};

struct clock_fixture : reactor_fixture {
  reactor_clock::time_point next_due() {
    return loop.call(
      [this] { return dynamic_cast<reactor_clock&>(loop.clock()).next_due(); });
  }

  /// Returns whether no timer is left.
  bool no_timers() {
    return next_due() == reactor_clock::time_point::max();
  }

  /// Spawns an actor that appends every number it gets to `to`.
  caf::actor spawn_recorder(std::vector<int>& to, caf::group member_of = {}) {
    return ends(system.spawn(
      [&to, member_of](caf::event_based_actor* me) -> caf::behavior {
        if (member_of)
          me->join(member_of);
        return {
          [&to](int x) { to.push_back(x); },
          [](total_atom) { return 0; },
        };
      }));
  }

  /// Waits until every timer of this minute has fired and `whom` has had the
  /// mail.
  void wait_for_timers(const caf::actor& whom) {
    while (next_due() < steady::now() + std::chrono::minutes{1})
      std::this_thread::sleep_for(milliseconds{1});
    ask<int>(whom, total_atom_v);
  }
};

/// Keeps the calling thread busy.
void burn(milliseconds duration) {
  const auto end = steady::now() + duration;
  while (steady::now() < end)
    ;
}

} // namespace

TEST_SUITE("actors/reactor_clock") {
  TEST_CASE_FIXTURE(clock_fixture,
                    "a request from outside times out, and not early") {
    const auto whom = spawn_counter();
    const auto start = steady::now();
    caf::error reason;
    self->request(whom, milliseconds{30}, silence_atom_v)
      .receive([](int) {}, [&](const caf::error& x) { reason = x; });
    CHECK(reason == caf::sec::request_timeout);
    CHECK(steady::now() - start >= milliseconds{30});
  }

  TEST_CASE_FIXTURE(clock_fixture,
                    "a request from an actor times out, and not early") {
    const auto whom = spawn_counter();
    const auto start = steady::now();
    caf::error reason;
    auto end = start;
    const auto asker = system.spawn([&](caf::event_based_actor* me) {
      me->request(whom, milliseconds{30}, silence_atom_v)
        .then([](int) {},
              [&](const caf::error& x) {
                reason = x;
                end = steady::now();
              });
    });
    await_end(asker);
    CHECK(reason == caf::sec::request_timeout);
    CHECK(end - start >= milliseconds{30});
  }

  TEST_CASE_FIXTURE(clock_fixture, "an answer in time cancels the timeout") {
    const auto whom = spawn_counter();
    auto answers = 0;
    auto errors = 0;
    const auto asker
      = system.spawn([&](caf::event_based_actor* me) -> caf::behavior {
          me->send(me, count_atom_v);
          return {[&, me](count_atom) {
            me->request(whom, an_hour, increment_atom_v, 1)
              .then(
                [&, me](int) {
                  if (++answers < 20'000)
                    me->send(me, count_atom_v);
                  else
                    me->quit();
                },
                [&](const caf::error&) { ++errors; });
          }};
        });
    await_end(asker);
    CHECK(answers == 20'000);
    CHECK(errors == 0);
    CHECK(no_timers());
  }

  TEST_CASE_FIXTURE(clock_fixture,
                    "foreign threads set and cancel timeouts at will") {
    const auto whom = spawn_counter();
    std::atomic<int> answers = 0;
    std::vector<std::thread> threads;
    for (auto i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        caf::scoped_actor me{system};
        for (auto k = 0; k < 500; ++k)
          me->request(whom, an_hour, increment_atom_v, k)
            .receive([&](int) { ++answers; }, [](const caf::error&) {});
      });
    for (auto& thread : threads)
      thread.join();
    CHECK(answers == 2000);
    CHECK(no_timers());
  }

  TEST_CASE_FIXTURE(clock_fixture, "delayed messages come when due, in order") {
    std::vector<int> seen;
    const auto whom = spawn_recorder(seen);
    const auto start = steady::now();
    for (const auto delay : {20, 5, 0, 10, 15})
      caf::delayed_anon_send(whom, milliseconds{delay}, delay);
    wait_for_timers(whom);
    CHECK(steady::now() - start >= milliseconds{20});
    loop.call([&] { CHECK(seen == std::vector{0, 5, 10, 15, 20}); });
    CHECK(no_timers());
  }

  TEST_CASE_FIXTURE(clock_fixture, "timers due at once keep their order") {
    std::vector<int> seen;
    const auto whom = spawn_recorder(seen);
    const auto due = steady::now() + milliseconds{5};
    loop.call([&] {
      for (auto i = 0; i < 100; ++i)
        loop.clock().schedule_message(
          due, caf::actor_cast<caf::strong_actor_ptr>(whom),
          caf::make_mailbox_element(nullptr, caf::make_message_id(), {}, i));
    });
    wait_for_timers(whom);
    loop.call([&] {
      CHECK(seen.size() == 100);
      CHECK(std::is_sorted(seen.begin(), seen.end()));
    });
  }

  TEST_CASE_FIXTURE(clock_fixture, "no delayed message comes early") {
    std::vector<steady::duration> late;
    std::vector<caf::actor> all;
    for (auto i = 1; i <= 8; ++i)
      all.push_back(
        system.spawn([&, i](caf::event_based_actor* me) -> caf::behavior {
          const auto due = steady::now() + milliseconds{2 * i};
          me->delayed_send(me, milliseconds{2 * i}, count_atom_v);
          return {[&, due, me](count_atom) {
            late.push_back(steady::now() - due);
            me->quit();
          }};
        }));
    for (const auto& whom : all)
      await_end(whom);
    CHECK(late.size() == 8);
    for (const auto by : late)
      CHECK(by.count() >= 0);
  }

  TEST_CASE_FIXTURE(clock_fixture, "an actor hears that nobody wrote to it") {
    auto start = steady::now();
    auto mail = 0;
    const auto whom
      = system.spawn([&](caf::event_based_actor* me) -> caf::behavior {
          return {
            [&](count_atom) {
              ++mail;
              start = steady::now(); // each message starts the wait anew
            },
            caf::after(milliseconds{20}) >> [me] { me->quit(); },
          };
        });
    caf::anon_send(whom, count_atom_v);
    caf::anon_send(whom, count_atom_v);
    await_end(whom);
    CHECK(mail == 2);
    CHECK(steady::now() - start >= milliseconds{20});
    CHECK(no_timers());
  }

  TEST_CASE_FIXTURE(clock_fixture, "ten-millisecond jobs let timers between") {
    std::vector<int> seen;
    const auto whom = spawn_recorder(seen);
    auto jobs = 0;
    auto jobs_when_fired = 0;
    std::function<void()> hog = [&] {
      burn(milliseconds{10});
      ++jobs;
      if (seen.size() < 4)
        jobs_when_fired = jobs;
      if (jobs < 30)
        loop.defer(hog);
    };
    loop.call([&] {
      // All of them are ready at once: a hundred jobs are less than a turn's.
      for (const auto delay : {7, 1, 5, 3})
        caf::delayed_anon_send(whom, milliseconds{delay}, delay);
      hog();
    });
    while (loop.call([&] { return jobs < 30; }))
      ;
    loop.call([&] {
      CHECK(seen == std::vector{1, 3, 5, 7});
      CHECK(jobs_when_fired < 10);
    });
  }

  TEST_CASE_FIXTURE(clock_fixture, "a delayed message reaches a group") {
    const auto group = system.groups().anonymous();
    std::vector<int> seen;
    const auto whom = spawn_recorder(seen);
    loop.call(
      [&] { caf::actor_cast<caf::event_based_actor*>(whom)->join(group); });
    const auto due = steady::now() + milliseconds{5};
    loop.clock().schedule_message(due, group, nullptr, caf::make_message(3));
    wait_for_timers(whom);
    loop.call([&] { CHECK(seen == std::vector{3}); });
  }

  TEST_CASE_FIXTURE(clock_fixture, "a delay of ten years disturbs nothing") {
    std::vector<int> seen;
    const auto whom = spawn_recorder(seen);
    caf::delayed_anon_send(whom, 24 * 3650 * an_hour, 1);
    caf::delayed_anon_send(whom, milliseconds{5}, 2);
    wait_for_timers(whom);
    loop.call([&] { CHECK(seen == std::vector{2}); });
  }

  TEST_CASE_FIXTURE(clock_fixture,
                    "the loop sleeps until the next timer, not "
                    "less, and a day at most") {
    const auto whom = caf::actor_cast<caf::strong_actor_ptr>(spawn_counter());
    loop.call([&] {
      auto& clock = dynamic_cast<reactor_clock&>(loop.clock());
      CHECK(clock.wait_ms() == -1);
      const auto add = [&](steady::time_point due) {
        clock.schedule_message(
          due, whom,
          caf::make_mailbox_element(nullptr, caf::make_message_id(), {}, 1));
      };
      add(steady::now() + 24 * 3650 * an_hour);
      CHECK(clock.wait_ms() == 24 * 3600 * 1000);
      // Each is due before the last one, by a fraction of a millisecond.
      const auto base = steady::now() + an_hour;
      for (auto i = 0; i < 100; ++i) {
        const auto due = base - i * std::chrono::microseconds{70};
        add(due);
        const auto sleep = milliseconds{clock.wait_ms()};
        CHECK(steady::now() + sleep >= due);
        CHECK(sleep <= an_hour + milliseconds{1});
      }
    });
  }

  TEST_CASE_FIXTURE(clock_fixture, "the end of an actor ends its timeouts") {
    const auto silent = spawn_counter();
    const auto whom
      = system.spawn([&](caf::event_based_actor* me) -> caf::behavior {
          for (auto i = 0; i < 10; ++i)
            me->request(silent, an_hour, silence_atom_v).then([](int) {});
          const auto later = steady::now() + an_hour;
          for (auto i = 0u; i < 10; ++i)
            loop.clock().set_multi_timeout(later, me, caf::atom("test"), i);
          return {
            [](count_atom) {},
            caf::after(an_hour) >> [] {},
          };
        });
    settle();
    CHECK_FALSE(no_timers());
    // The next actor's number is the next one up; its timer stays.
    const auto other = spawn_counter();
    const auto due = steady::now() + 2 * an_hour;
    loop.clock().set_ordinary_timeout(
      due, caf::actor_cast<caf::abstract_actor*>(other), caf::atom("test"), 1);
    self->send_exit(whom, caf::exit_reason::user_shutdown);
    await_end(whom);
    CHECK(next_due() == due);
  }

  TEST_CASE_FIXTURE(clock_fixture, "a newer timeout of a type replaces it") {
    const auto whom = spawn_counter();
    const auto me = caf::actor_cast<caf::abstract_actor*>(whom);
    const auto now = steady::now();
    auto& clock = dynamic_cast<reactor_clock&>(loop.clock());
    loop.call([&] {
      const auto type = caf::atom("test");
      clock.set_ordinary_timeout(now + an_hour, me, type, 1);
      clock.set_ordinary_timeout(now + 2 * an_hour, me, type, 2);
      CHECK(clock.next_due() == now + 2 * an_hour);
      clock.set_multi_timeout(now + an_hour, me, type, 1);
      clock.set_multi_timeout(now + 3 * an_hour, me, type, 2);
      CHECK(clock.next_due() == now + an_hour);
      clock.cancel_ordinary_timeout(me, caf::atom("other"));
      clock.cancel_timeouts(me);
    });
    CHECK(no_timers());
  }

  TEST_CASE_FIXTURE(clock_fixture, "timers outlive their actor harmlessly") {
    std::atomic<int> destroyed = 0;
    {
      const auto whom = system.spawn(counter, &destroyed);
      for (auto i = 0; i < 20; ++i)
        caf::delayed_anon_send(whom, milliseconds{10 + i % 5}, count_atom_v);
      self->send_exit(whom, caf::exit_reason::kill);
      await_end(whom);
    }
    wait_for_timers(spawn_counter());
    CHECK(destroyed == 1);
  }

  TEST_CASE_FIXTURE(clock_fixture, "a timer may hold the last handles") {
    // The undeliverable message goes with its timer, and with the message the
    // last handle to an actor, whose end calls the clock back.
    std::atomic<int> destroyed = 0;
    std::vector<int> seen;
    const auto alive = spawn_recorder(seen);
    auto dead = system.spawn(counter, nullptr);
    self->send_exit(dead, caf::exit_reason::kill);
    await_end(dead);
    for (auto i = 1; i <= 10; ++i) {
      caf::delayed_anon_send(dead, milliseconds{i},
                             system.spawn(counter, &destroyed));
      caf::delayed_anon_send(alive, milliseconds{i}, i);
    }
    dead = nullptr;
    wait_for_timers(alive);
    CHECK(destroyed == 10);
    loop.call([&] { CHECK(seen.size() == 10); });
    CHECK(no_timers());
  }
}
