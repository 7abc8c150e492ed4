#pragma once

#include <cassert>
#include <functional>
#include <utility>

#include "actors/worker.hpp"

namespace vtpm::tests {

/// A worker that runs its job when the test says so.
class deferred_worker final : public actors::worker {
public:
  void run(std::function<void()> job) override {
    assert(!job_);
    job_ = std::move(job);
  }

  bool busy() const noexcept {
    return static_cast<bool>(job_);
  }

  void complete() {
    std::exchange(job_, {})();
  }

  /// The job's process dies.
  void abandon() {
    job_ = {};
  }

private:
  std::function<void()> job_;
};

} // namespace vtpm::tests
