#include <cassert>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tpm/committers.hpp"
#include "tpm/owned_file.hpp"

namespace vtpm::tpm {

namespace {

class thread_committer final : public committer {
public:
  thread_committer(int target, owned_descriptor done)
    : target_(target), done_(std::move(done)) {
    // Signals are for the threads that expect them.
    auto all = sigset_t{};
    auto before = sigset_t{};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      worker_ = std::thread{[this] { run(); }};
    } catch (...) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  ~thread_committer() override {
    {
      const auto guard = std::lock_guard{mutex_};
      stop_ = true;
    }
    wake_.notify_one();
    worker_.join();
  }

  void start(std::uint64_t offset, byte_view data) override {
    const auto guard = std::lock_guard{mutex_};
    assert(!under_way_);
    under_way_ = true;
    offset_ = offset;
    data_ = data;
    has_work_ = true;
    wake_.notify_one();
  }

  int descriptor() const noexcept override {
    return done_.get();
  }

  std::optional<result<unit>> finish() override {
    const auto guard = std::lock_guard{mutex_};
    if (!outcome_)
      return std::nullopt;
    auto count = eventfd_t{};
    eventfd_read(done_.get(), &count);
    under_way_ = false;
    return judge_write(*std::exchange(outcome_, std::nullopt), data_.size());
  }

  const char* name() const noexcept override {
    return "thread";
  }

private:
  void run() {
    auto guard = std::unique_lock{mutex_};
    for (;;) {
      wake_.wait(guard, [this] { return has_work_ || stop_; });
      // A write that was started is done, even if the end has come.
      if (!std::exchange(has_work_, false))
        return;
      guard.unlock();
      const auto outcome = write();
      guard.lock();
      outcome_ = outcome;
      eventfd_write(done_.get(), 1);
    }
  }

  /// Touches only what nobody changes while a write is under way.
  ssize_t write() const noexcept {
    auto octets = iovec{const_cast<std::uint8_t*>(data_.data()), data_.size()};
    const auto written
      = ::pwritev2(target_, &octets, 1, static_cast<off_t>(offset_), RWF_DSYNC);
    return written < 0 ? -errno : written;
  }

  const int target_;
  const owned_descriptor done_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::uint64_t offset_ = 0;
  byte_view data_;
  /// From `start` until `finish` has returned a value.
  bool under_way_ = false;
  bool has_work_ = false;
  bool stop_ = false;
  /// Octets written, or a negated `errno` value.
  std::optional<ssize_t> outcome_;
  std::thread worker_;
};

} // namespace

result<std::unique_ptr<committer>> make_thread_committer(int descriptor) {
  auto done = owned_descriptor{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!done)
    return io_error("cannot make an event descriptor", errno);
  try {
    return std::unique_ptr<committer>{
      std::make_unique<thread_committer>(descriptor, std::move(done))};
  } catch (const std::system_error& reason) {
    return io_error("cannot start a thread", reason.code().value());
  }
}

} // namespace vtpm::tpm
