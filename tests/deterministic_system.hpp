#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <tuple>

#include <caf/abstract_actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/atom.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/timespan.hpp>

namespace vtpm::tests {

/// A world of actors that stands still: no message is processed and no time
/// passes unless the test says so. Built on CAF's test coordinator, without its
/// test macros, which need CAF's own test runner.
///
/// Its end lets every actor run until nothing is left to do, so a test has to
/// make its actors exit, and what they write to must be declared before it.
/// Spawn without `caf::detached`: such an actor runs on a thread of its own
/// even here.
class deterministic_system {
public:
  deterministic_system()
    : system(prepare(config)),
      self(system),
      scheduler(
        dynamic_cast<caf::scheduler::test_coordinator&>(system.scheduler())) {
    // nop
  }

  deterministic_system(const deterministic_system&) = delete;
  deterministic_system& operator=(const deterministic_system&) = delete;

  ~deterministic_system() {
    // The system's destructor waits for every actor, and runs none.
    settle();
  }

  // -- letting things happen --------------------------------------------------

  /// Lets `whom` process exactly one message; throws if it has none.
  template <class Handle>
  void step(const Handle& whom) {
    if (!scheduler.prioritize(whom))
      throw std::logic_error{"the actor has nothing to do"};
    scheduler.run_once();
  }

  /// Lets one actor, picked by `rng` among those with mail, process a message.
  /// Whatever order CAF may choose, some sequence of picks makes it. Returns
  /// `false` when nobody has mail.
  template <class Rng>
  bool step_any(Rng& rng) {
    auto& jobs = scheduler.jobs;
    if (jobs.empty())
      return false;
    const auto chosen
      = jobs.begin() + static_cast<std::ptrdiff_t>(rng() % jobs.size());
    std::rotate(jobs.begin(), chosen, chosen + 1);
    return scheduler.try_run_once();
  }

  /// Goes on until nobody has mail. Returns the number of steps.
  std::size_t settle() {
    std::size_t steps = 0;
    while (scheduler.try_run_once())
      ++steps;
    return steps;
  }

  /// Lets time pass. Returns the number of timeouts and delayed messages that
  /// fell due; they are in the mailboxes now, not processed.
  std::size_t advance(caf::timespan interval) {
    return scheduler.advance_time(interval);
  }

  // -- looking on -------------------------------------------------------------

  /// Returns a copy of what `whom` would process next, or `nullopt` when that
  /// has other types or there is nothing.
  template <class T, class... Ts, class Handle>
  std::optional<std::tuple<T, Ts...>> peek(const Handle& whom) {
    const auto element = next_of(whom);
    if (element == nullptr
        || !element->content().template match_elements<T, Ts...>())
      return std::nullopt;
    return element->content().template get_as_tuple<T, Ts...>();
  }

  /// Returns whether the mailbox of `whom` is empty.
  template <class Handle>
  bool idle(const Handle& whom) {
    return next_of(whom) == nullptr;
  }

  caf::actor_system_config config;
  caf::actor_system system;
  /// The test's own mailbox, to ask from.
  caf::scoped_actor self;
  caf::scheduler::test_coordinator& scheduler;

private:
  static caf::actor_system_config& prepare(caf::actor_system_config& config) {
    config.set("scheduler.policy", caf::atom("testing"));
    return config;
  }

  template <class Handle>
  static caf::mailbox_element* next_of(const Handle& whom) {
    return caf::actor_cast<caf::abstract_actor*>(whom)
      ->peek_at_next_mailbox_element();
  }
};

} // namespace vtpm::tests
