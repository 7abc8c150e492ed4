#pragma once

#include <functional>

namespace vtpm::xenio {

/// The thread that everything happens on, as far as this library needs it. The
/// reactor implements it; tests have one they turn by hand.
class event_loop {
public:
  virtual ~event_loop() = default;

  /// Calls `on_readable` on the loop's thread whenever `descriptor` is readable
  /// (level-triggered) or hung up, until `unwatch`. Call from the loop's thread
  /// or before the loop runs.
  virtual void watch(int descriptor, std::function<void()> on_readable) = 0;

  /// Forgets `descriptor`; its handler does not run again, even if it was about
  /// to in this round. Call before closing the descriptor, and from the loop's
  /// thread; a handler may unwatch itself.
  virtual void unwatch(int descriptor) = 0;

  /// Runs `job` on the loop's thread, later, after the jobs that the same
  /// thread gave before. Safe from any thread.
  virtual void defer(std::function<void()> job) = 0;
};

} // namespace vtpm::xenio
