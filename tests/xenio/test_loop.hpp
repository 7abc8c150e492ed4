#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "xenio/event_loop.hpp"

namespace vtpm::tests {

/// A real event loop on epoll, turned by the thread that calls `turn`.
class test_loop : public xenio::event_loop {
public:
  test_loop()
    : poller_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_up_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    add(wake_up_);
  }

  ~test_loop() override {
    CHECK(handlers_.empty());
    ::close(wake_up_);
    ::close(poller_);
  }

  void watch(int descriptor, std::function<void()> on_readable) override {
    handlers_[descriptor]
      = std::make_shared<std::function<void()>>(std::move(on_readable));
    add(descriptor);
  }

  void unwatch(int descriptor) override {
    REQUIRE(handlers_.erase(descriptor) == 1);
    REQUIRE(::epoll_ctl(poller_, EPOLL_CTL_DEL, descriptor, nullptr) == 0);
  }

  void defer(std::function<void()> job) override {
    {
      std::lock_guard guard{lock_};
      jobs_.push_back(std::move(job));
    }
    ::eventfd_write(wake_up_, 1);
  }

  /// Handles what is ready; waits for it up to `limit`. Returns how many
  /// descriptors were.
  int turn(std::chrono::milliseconds limit) {
    std::array<epoll_event, 32> events;
    const auto count = ::epoll_wait(poller_, events.data(), 32,
                                    static_cast<int>(limit.count()));
    for (auto i = 0; i < count; ++i) {
      const auto fd = events[static_cast<std::size_t>(i)].data.fd;
      if (auto entry = handlers_.find(fd); entry != handlers_.end()) {
        const auto handler = entry->second;
        (*handler)();
      }
    }
    eventfd_t ignored;
    ::eventfd_read(wake_up_, &ignored);
    for (auto job = next_job(); job; job = next_job())
      job();
    return count;
  }

  /// Turns until `done`; returns whether it ever was.
  template <class Predicate>
  bool turn_until(Predicate done,
                  std::chrono::seconds limit = std::chrono::seconds{10}) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!done()) {
      if (std::chrono::steady_clock::now() > deadline)
        return false;
      turn(std::chrono::milliseconds{1});
    }
    return true;
  }

  /// Turns until nothing is ready any more, at most so many times.
  int settle(int turns_max = 1000) {
    auto turns = 0;
    while (turns < turns_max && turn(std::chrono::milliseconds{0}) > 0)
      ++turns;
    return turns;
  }

  /// Returns how many descriptors are watched.
  std::size_t watched() const {
    return handlers_.size();
  }

private:
  void add(int descriptor) {
    epoll_event event = {};
    event.events = EPOLLIN;
    event.data.fd = descriptor;
    REQUIRE(::epoll_ctl(poller_, EPOLL_CTL_ADD, descriptor, &event) == 0);
  }

  std::function<void()> next_job() {
    std::lock_guard guard{lock_};
    if (jobs_.empty())
      return {};
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    return job;
  }

  int poller_;
  int wake_up_;
  std::map<int, std::shared_ptr<std::function<void()>>> handlers_;
  std::mutex lock_;
  std::deque<std::function<void()>> jobs_;
};

} // namespace vtpm::tests
