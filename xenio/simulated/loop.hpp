#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>

#include "xenio/event_loop.hpp"

namespace vtpm::xenio::simulated {

/// An event loop that a test turns by hand, on the test's own thread. Jobs run
/// in the order in which they were deferred; descriptors become readable when
/// the test says so.
class loop final : public event_loop {
public:
  void watch(int descriptor, std::function<void()> on_readable) override;

  void unwatch(int descriptor) override;

  void defer(std::function<void()> job) override;

  /// Runs the oldest job. Returns `false` when there is none.
  bool run_one();

  /// Runs jobs, and those they defer, until there are none. Returns how many.
  /// @pre That comes to an end within a million jobs.
  std::size_t run_until_idle();

  /// Runs the handler of a watched descriptor, as if it were readable. Returns
  /// `false` when nobody watches it.
  bool make_readable(int descriptor);

  /// Returns how many jobs wait.
  std::size_t waiting() const noexcept {
    return jobs_.size();
  }

private:
  std::deque<std::function<void()>> jobs_;
  std::map<int, std::function<void()>> handlers_;
};

} // namespace vtpm::xenio::simulated
