// Goal: as a CAF scheduler the reactor loses nothing, starves nobody and keeps
// every order that CAF promises.
// Method: real systems on it, with other threads, detached and blocking actors
// around them; where one thread decides the order, the exact order is checked.

#include "actors/reactor.hpp"

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <caf/blocking_actor.hpp>
#include <caf/event_based_actor.hpp>

#include "tests/actors/reactor_fixture.hpp"

using namespace vtpm;
using namespace vtpm::actors;
using namespace vtpm::tests;

TEST_SUITE("actors/reactor") {
  TEST_CASE("fifty systems start, answer and end") {
    std::atomic<int> destroyed = 0;
    for (auto i = 0; i < 50; ++i) {
      reactor_fixture world;
      const auto whom = world.spawn_counter(&destroyed);
      CHECK(world.ask<int>(whom, increment_atom_v, i) == i + 1);
    }
    CHECK(destroyed == 50);
  }

  TEST_CASE_FIXTURE(reactor_fixture, "actors run on the loop's thread") {
    CHECK(ask<bool>(spawn_counter(), where_atom_v));
    CHECK_FALSE(loop.on_loop_thread());
  }

  TEST_CASE_FIXTURE(reactor_fixture, "mail from foreign threads all arrives") {
    constexpr auto senders = 4;
    constexpr auto each = 20'000;
    const auto whom = spawn_counter();
    std::vector<std::thread> threads;
    for (auto i = 0; i < senders; ++i)
      threads.emplace_back([&] {
        for (auto k = 0; k < each; ++k)
          caf::anon_send(whom, count_atom_v);
      });
    for (auto& thread : threads)
      thread.join();
    CHECK(ask<int>(whom, total_atom_v) == senders * each);
  }

  TEST_CASE_FIXTURE(reactor_fixture, "no request is overslept") {
    const auto whom = spawn_counter();
    for (auto i = 0; i < 3000; ++i) {
      // The pauses let the request meet the loop at every stage of its falling
      // asleep.
      if (i % 3 == 0)
        std::this_thread::sleep_for(std::chrono::microseconds{i % 200});
      REQUIRE(ask<int>(whom, increment_atom_v, i) == i + 1);
    }
  }

  TEST_CASE_FIXTURE(reactor_fixture,
                    "jobs from foreign threads run once each, in order") {
    constexpr auto senders = 4;
    constexpr auto each = 5'000;
    std::vector<std::vector<int>> seen(senders); // the loop's thread alone
    std::vector<std::thread> threads;
    for (auto i = 0u; i < senders; ++i)
      threads.emplace_back([&, i] {
        for (auto k = 0; k < each; ++k)
          loop.defer([&, i, k] { seen[i].push_back(k); });
      });
    for (auto& thread : threads)
      thread.join();
    settle();
    for (const auto& numbers : seen) {
      REQUIRE(numbers.size() == each);
      for (auto k = 0; k < each; ++k)
        REQUIRE(numbers[static_cast<std::size_t>(k)] == k);
    }
  }

  TEST_CASE_FIXTURE(reactor_fixture, "a job from the loop runs later") {
    std::vector<std::string> order;
    loop.call([&] {
      loop.defer([&] { order.push_back("deferred"); });
      order.push_back("now");
    });
    settle();
    CHECK(order == std::vector<std::string>{"now", "deferred"});
  }

  TEST_CASE_FIXTURE(reactor_fixture, "a call returns what the job returns") {
    CHECK(loop.call([] { return std::string{"done"}; }) == "done");
    // From the loop itself it must not wait for the loop.
    CHECK(loop.call([&] { return loop.call([] { return 7; }); }) == 7);
    CHECK_THROWS_AS(loop.call([] { throw std::runtime_error{"no"}; }),
                    std::runtime_error);
  }

  TEST_CASE_FIXTURE(reactor_fixture, "tell works on every thread") {
    const auto whom = spawn_counter();
    loop.tell(whom, count_atom_v);
    loop.call([&] { loop.tell(whom, count_atom_v); });
    CHECK(ask<int>(whom, total_atom_v) == 2);
  }

  TEST_CASE_FIXTURE(reactor_fixture, "an actor with much mail takes turns") {
    // Sixty-four messages are an actor's share, see `with_reactor`.
    auto total_when_other_ran = 0;
    auto total = 0;
    const auto busy
      = ends(system.spawn([&](caf::event_based_actor*) -> caf::behavior {
          return {[&](count_atom) { ++total; }};
        }));
    const auto other
      = ends(system.spawn([&](caf::event_based_actor*) -> caf::behavior {
          return {[&](count_atom) { total_when_other_ran = total; }};
        }));
    loop.call([&] {
      for (auto i = 0; i < 1000; ++i)
        loop.tell(busy, count_atom_v);
      loop.tell(other, count_atom_v);
    });
    self->send_exit(busy, caf::exit_reason::user_shutdown);
    await_end(busy);
    CHECK(total == 1000);
    CHECK(total_when_other_ran == 64);
  }

  TEST_CASE_FIXTURE(reactor_fixture, "many jobs wait for a descriptor's turn") {
    doorbell bell;
    auto jobs_run = 0;
    auto jobs_run_when_rung = -1;
    bell.ring();
    loop.call([&] {
      loop.watch(bell.fd, [&] {
        jobs_run_when_rung = jobs_run;
        loop.unwatch(bell.fd);
      });
      for (auto i = 0; i < 1000; ++i)
        loop.defer([&] { ++jobs_run; });
    });
    settle();
    loop.call([&] {
      CHECK(jobs_run == 1000);
      CHECK(jobs_run_when_rung >= 0);
      CHECK(jobs_run_when_rung <= 256);
    });
  }

  TEST_CASE_FIXTURE(reactor_fixture,
                    "an actor that mails itself keeps nobody waiting") {
    const auto hog
      = ends(system.spawn([](caf::event_based_actor* me) -> caf::behavior {
          me->send(me, count_atom_v);
          return {[me](count_atom) { me->send(me, count_atom_v); }};
        }));
    const auto whom = spawn_counter();
    CHECK(ask<int>(whom, increment_atom_v, 1) == 2);
    doorbell bell;
    loop.watch(bell.fd, [&] {
      bell.silence();
      loop.tell(whom, count_atom_v);
    });
    bell.ring();
    while (ask<int>(whom, total_atom_v) == 0)
      std::this_thread::yield();
    caf::delayed_anon_send(whom, std::chrono::milliseconds{5}, count_atom_v);
    while (ask<int>(whom, total_atom_v) == 1)
      std::this_thread::yield();
    loop.unwatch(bell.fd);
  }

  TEST_CASE_FIXTURE(reactor_fixture, "a detached actor asks and is asked") {
    const auto whom = spawn_counter();
    const auto detached = ends(system.spawn<caf::detached>(
      [whom](caf::event_based_actor* me) -> caf::behavior {
        return {
          [](increment_atom, int x) { return x + 1; },
          [me, whom](total_atom) {
            auto promise = me->make_response_promise<int>();
            me->request(whom, caf::infinite, increment_atom_v, 41)
              .then([promise](int x) mutable { promise.deliver(x); });
            return promise;
          },
          [me, whom](silence_atom) {
            auto promise = me->make_response_promise<int>();
            me->request(whom, std::chrono::milliseconds{20}, silence_atom_v)
              .then([promise](int) mutable { promise.deliver(0); },
                    [promise](const caf::error& reason) mutable {
                      promise.deliver(reason == caf::sec::request_timeout ? -1
                                                                          : 0);
                    });
            return promise;
          },
        };
      }));
    CHECK(ask<int>(detached, increment_atom_v, 20) == 21);
    CHECK(ask<int>(detached, total_atom_v) == 42);
    CHECK(ask<int>(detached, silence_atom_v) == -1);
  }

  TEST_CASE_FIXTURE(reactor_fixture, "a blocking actor asks") {
    const auto whom = spawn_counter();
    std::atomic<int> answer = 0;
    const auto blocking = system.spawn([&](caf::blocking_actor* me) {
      me->request(whom, caf::infinite, increment_atom_v, 6)
        .receive([&](int x) { answer = x; }, [](const caf::error&) {});
    });
    await_end(blocking);
    CHECK(answer == 7);
  }

  TEST_CASE_FIXTURE(reactor_fixture,
                    "a parent hears of its child's end, linked and monitored") {
    std::atomic<bool> exited = false;
    std::atomic<bool> down = false;
    const auto parent
      = system.spawn([&](caf::event_based_actor* me) -> caf::behavior {
          me->set_exit_handler([&](const caf::exit_msg&) { exited = true; });
          me->set_down_handler([&, me](const caf::down_msg&) {
            down = true;
            me->quit();
          });
          const auto child = me->spawn<caf::linked + caf::monitored>(
            [](caf::event_based_actor* kid) -> caf::behavior {
              return {[kid](count_atom) {
                kid->quit(caf::exit_reason::user_shutdown);
              }};
            });
          me->send(child, count_atom_v);
          return {[](count_atom) {}};
        });
    await_end(parent);
    CHECK(down);
    CHECK(exited);
  }
}
