#pragma once

#include <functional>
#include <memory>

namespace vtpm::actors {

/// One thread that runs what would keep the reactor too long. One job at a
/// time; the next comes after the last has reported.
class worker {
public:
  virtual ~worker() = default;

  /// Runs `job`, which reports its end itself, by a message. A job given while
  /// the last one is still on its way out runs after it. From one thread only.
  /// @pre `job` is not empty and does not throw.
  virtual void run(std::function<void()> job) = 0;
};

/// A worker on a thread of its own, started by the first job. Its destructor
/// waits until every job given has run.
std::unique_ptr<worker> make_thread_worker();

} // namespace vtpm::actors
