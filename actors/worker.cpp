#include "actors/worker.hpp"

#include <cassert>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include <pthread.h>

namespace vtpm::actors {

namespace {

class thread_worker final : public worker {
public:
  ~thread_worker() override {
    if (!thread_.joinable())
      return;
    {
      const std::lock_guard guard{mutex_};
      closing_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

  void run(std::function<void()> job) override {
    assert(job);
    {
      const std::lock_guard guard{mutex_};
      jobs_.push_back(std::move(job));
    }
    if (thread_.joinable())
      changed_.notify_one();
    else
      thread_ = std::thread{[this] { work(); }};
  }

private:
  void work() {
    ::pthread_setname_np(::pthread_self(), "worker");
    std::unique_lock guard{mutex_};
    for (;;) {
      changed_.wait(guard, [this] { return closing_ || !jobs_.empty(); });
      if (jobs_.empty())
        return;
      auto job = std::move(jobs_.front());
      jobs_.pop_front();
      guard.unlock();
      job();
      job = nullptr; // what it holds goes now, not when the next one comes
      guard.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_; // guarded by mutex_
  bool closing_ = false;                   // guarded by mutex_
  std::thread thread_;
};

} // namespace

std::unique_ptr<worker> make_thread_worker() {
  return std::make_unique<thread_worker>();
}

} // namespace vtpm::actors
