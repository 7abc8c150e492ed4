#include "deploy/vtpmd/signals.hpp"

#include <csignal>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "tests/xenio/test_loop.hpp"

using namespace vtpm;
using namespace vtpm::deploy;

namespace {

/// Lets a test block signals without a trace.
class restored_mask {
public:
  restored_mask() {
    ::pthread_sigmask(SIG_BLOCK, nullptr, &before_);
  }

  ~restored_mask() {
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

private:
  sigset_t before_;
};

} // namespace

TEST_SUITE("deploy/vtpmd/signals") {
  TEST_CASE("termination signals become calls on the loop") {
    const restored_mask mask;
    block_signals();
    tests::test_loop loop;
    std::vector<int> seen;
    {
      const auto signals = termination_signals::watch(
        loop, [&seen](int number) { seen.push_back(number); });
      REQUIRE(signals);
      for (const auto number : {SIGTERM, SIGINT, SIGTERM}) {
        ::kill(::getpid(), number);
        REQUIRE(loop.turn_until(
          [&seen, count = seen.size()] { return seen.size() > count; }));
      }
      CHECK(seen == std::vector{SIGTERM, SIGINT, SIGTERM});
    }
    CHECK(loop.watched() == 0);
  }

  TEST_CASE("threads that start later do not take them") {
    const restored_mask mask;
    block_signals();
    const auto source = signal_source();
    REQUIRE(source);
    sigset_t inherited;
    std::thread{[&inherited] {
      ::pthread_sigmask(SIG_BLOCK, nullptr, &inherited);
    }}.join();
    CHECK(::sigismember(&inherited, SIGTERM) == 1);
    CHECK(::sigismember(&inherited, SIGINT) == 1);
    CHECK(::sigismember(&inherited, SIGSEGV) == 0);
  }
}
