#pragma once

#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include <sys/eventfd.h>
#include <unistd.h>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/behavior.hpp>
#include <caf/duration.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/type_id.hpp>
#include <caf/typed_response_promise.hpp>

#include <doctest/doctest.h>

#include "actors/reactor.hpp"

CAF_BEGIN_TYPE_ID_BLOCK(reactor_tests, caf::first_custom_type_id)

CAF_ADD_ATOM(reactor_tests, vtpm::tests, count_atom, "count")
CAF_ADD_ATOM(reactor_tests, vtpm::tests, total_atom, "total")
CAF_ADD_ATOM(reactor_tests, vtpm::tests, increment_atom, "increment")
CAF_ADD_ATOM(reactor_tests, vtpm::tests, silence_atom, "silence")
CAF_ADD_ATOM(reactor_tests, vtpm::tests, where_atom, "where")

CAF_END_TYPE_ID_BLOCK(reactor_tests)

namespace vtpm::tests {

struct counter_state {
  ~counter_state() {
    if (destroyed != nullptr)
      ++*destroyed;
  }

  int total = 0;
  /// Requests that are never answered.
  std::vector<caf::typed_response_promise<int>> unanswered;
  std::atomic<int>* destroyed = nullptr;
};

/// Counts, increments, says where it runs, and keeps silent, as told.
/// @param destroyed Incremented at the end of the state, if not null.
inline caf::behavior counter(caf::stateful_actor<counter_state>* self,
                             std::atomic<int>* destroyed) {
  self->state.destroyed = destroyed;
  return {
    [self](count_atom) { ++self->state.total; },
    [self](total_atom) { return self->state.total; },
    [](increment_atom, int x) { return x + 1; },
    [self](silence_atom) {
      auto promise = self->make_response_promise<int>();
      self->state.unanswered.push_back(promise);
      return promise;
    },
    [self](where_atom) {
      return actors::reactor::of(self->system()).on_loop_thread();
    },
  };
}

/// Loads the reactor into a configuration.
inline caf::actor_system_config& with_reactor(
  caf::actor_system_config& config) {
  config.load<actors::reactor>();
  config.set("scheduler.max-throughput", std::size_t{64});
  return config;
}

/// An actor system on a reactor, with a mailbox to ask from.
class reactor_fixture {
public:
  reactor_fixture()
    : system(with_reactor(config)),
      loop(actors::reactor::of(system)),
      self(system) {
    // nop
  }

  ~reactor_fixture() {
    for (const auto& whom : to_end_)
      caf::anon_send_exit(whom, caf::exit_reason::user_shutdown);
  }

  /// Makes an actor exit with the fixture.
  caf::actor ends(caf::actor whom) {
    to_end_.push_back(whom);
    return whom;
  }

  caf::actor spawn_counter(std::atomic<int>* destroyed = nullptr) {
    return ends(system.spawn(counter, destroyed));
  }

  /// Returns what `whom` answers; fails the test on an error. Waits without a
  /// limit of its own: its timer would be one more in the schedule.
  template <class T, class... Ts>
  T ask(const caf::actor& whom, const Ts&... request) {
    T result{};
    caf::error failure;
    self->request(whom, caf::infinite, request...)
      .receive([&result](T& x) { result = std::move(x); },
               [&failure](caf::error& reason) { failure = std::move(reason); });
    REQUIRE_MESSAGE(!failure, system.render(failure));
    return result;
  }

  /// Waits until `whom` has ended and what it wrote may be read: through the
  /// loop too, since a race detector cannot see into CAF's library.
  void await_end(const caf::actor& whom) {
    self->wait_for(whom);
    settle();
  }

  /// Waits until everything that is in the run queue now has had its turn.
  void settle() {
    loop.call([] {});
  }

  caf::actor_system_config config;
  caf::actor_system system;
  actors::reactor& loop;
  caf::scoped_actor self;

private:
  std::vector<caf::actor> to_end_;
};

/// A doorbell: readable once rung, until silenced.
class doorbell {
public:
  doorbell() : fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    REQUIRE(fd >= 0);
  }

  doorbell(const doorbell&) = delete;
  doorbell& operator=(const doorbell&) = delete;

  ~doorbell() {
    ::close(fd);
  }

  void ring() const {
    const std::uint64_t one = 1;
    REQUIRE(::write(fd, &one, sizeof(one)) == sizeof(one));
  }

  void silence() const {
    std::uint64_t rings = 0;
    [[maybe_unused]] const auto size = ::read(fd, &rings, sizeof(rings));
  }

  const int fd;
};

} // namespace vtpm::tests
