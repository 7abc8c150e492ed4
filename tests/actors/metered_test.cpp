// Goal: the counters are exact, whoever sends and however the actor is run.

#include "actors/metered.hpp"

#include <thread>
#include <vector>

#include <caf/event_based_actor.hpp>
#include <caf/typed_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <doctest/doctest.h>

#include "tests/actors/reactor_fixture.hpp"
#include "tests/deterministic_system.hpp"

using namespace vtpm;
using namespace vtpm::actors;
using namespace vtpm::tests;

namespace {

using sleeper_actor
  = caf::typed_actor<caf::reacts_to<count_atom>, caf::reacts_to<where_atom>>;

struct sleeper_state {
  std::chrono::milliseconds nap{0};
};

using sleeper_base
  = caf::stateful_actor<sleeper_state, metered<sleeper_actor::base>>;

/// Takes a nap per message.
sleeper_actor::behavior_type sleeper(sleeper_base* self,
                                     std::chrono::milliseconds nap,
                                     const sleeper_base** me) {
  self->state.nap = nap;
  *me = self;
  return {
    [self](count_atom) { std::this_thread::sleep_for(self->state.nap); },
    [](where_atom) {},
  };
}

/// Skips everything but `go_on`, until that has come.
using picky_base = metered<caf::event_based_actor>;

class picky : public picky_base {
public:
  explicit picky(caf::actor_config& config) : picky_base(config) {
    set_default_handler(caf::skip);
  }

  caf::behavior make_behavior() override {
    return {[this](where_atom) { become([](count_atom) {}); }};
  }
};

} // namespace

TEST_SUITE("actors/metered") {
  TEST_CASE_FIXTURE(deterministic_system, "depth and peak follow the mailbox") {
    const sleeper_base* me = nullptr;
    const auto whom = system.spawn(sleeper, std::chrono::milliseconds{0}, &me);
    settle();
    const auto idle_depth = me->stats().mailbox_depth;
    CHECK(idle_depth == 0);
    for (auto i = 1; i <= 5; ++i) {
      caf::anon_send(whom, count_atom_v);
      CHECK(me->stats().mailbox_depth == i);
      CHECK(me->stats().mailbox_depth_max == i);
    }
    for (auto i = 1; i <= 5; ++i) {
      step(whom);
      CHECK(me->stats().mailbox_depth == 5 - i);
      CHECK(me->stats().handled == i);
      CHECK(me->stats().mailbox_depth_max == 5);
    }
    // Nothing but the actor's end resets the peak.
    caf::anon_send(whom, count_atom_v);
    CHECK(me->stats().mailbox_depth_max == 5);
    settle();
    CHECK(me->stats().handled == 6);
    caf::anon_send_exit(whom, caf::exit_reason::user_shutdown);
  }

  TEST_CASE_FIXTURE(deterministic_system, "time inside handlers is counted") {
    const sleeper_base* me = nullptr;
    const auto nap = std::chrono::milliseconds{2};
    const auto whom = system.spawn(sleeper, nap, &me);
    settle();
    CHECK(me->stats().busy_ns == 0);
    caf::anon_send(whom, count_atom_v);
    caf::anon_send(whom, count_atom_v);
    settle();
    CHECK(std::chrono::nanoseconds{me->stats().busy_ns} >= 2 * nap);
    caf::anon_send_exit(whom, caf::exit_reason::user_shutdown);
  }

  TEST_CASE_FIXTURE(deterministic_system,
                    "a skipped message waits until it is handled") {
    const auto whom = system.spawn<picky>();
    const auto me = dynamic_cast<const picky_base*>(
      caf::actor_cast<caf::abstract_actor*>(whom));
    REQUIRE(me != nullptr);
    caf::anon_send(whom, count_atom_v);
    settle();
    CHECK(me->stats().mailbox_depth == 1);
    CHECK(me->stats().handled == 0);
    caf::anon_send(whom, where_atom_v);
    settle();
    CHECK(me->stats().mailbox_depth == 0);
    CHECK(me->stats().handled == 2);
    caf::anon_send_exit(whom, caf::exit_reason::user_shutdown);
  }

  TEST_CASE_FIXTURE(reactor_fixture, "a flood from many threads is counted") {
    constexpr auto senders = 4;
    constexpr auto each = 10'000;
    const sleeper_base* me = nullptr;
    const auto whom = system.spawn(sleeper, std::chrono::milliseconds{0}, &me);
    settle();
    std::vector<std::thread> threads;
    for (auto i = 0; i < senders; ++i)
      threads.emplace_back([&] {
        for (auto k = 0; k < each; ++k)
          caf::anon_send(whom, count_atom_v);
      });
    for (auto& thread : threads)
      thread.join();
    self->request(whom, caf::infinite, where_atom_v)
      .receive([] {}, [](caf::error&) {});
    const auto stats = loop.call([me] { return me->stats(); });
    CHECK(stats.handled == senders * each + 1);
    CHECK(stats.mailbox_depth == 0);
    CHECK(stats.mailbox_depth_max >= 1);
    CHECK(stats.mailbox_depth_max <= senders * each + 1);
    caf::anon_send_exit(whom, caf::exit_reason::user_shutdown);
  }
}
