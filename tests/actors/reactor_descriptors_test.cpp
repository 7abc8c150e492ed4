// Goal: a handler runs when, and only when, its own descriptor is ready, even
// while handlers come and go under the loop's hands.
// Method: descriptors that are ready together come in one batch from the
// kernel, so what the first handler of a batch does meets events already taken.

#include "actors/reactor.hpp"

#include <algorithm>
#include <array>
#include <future>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "tests/actors/reactor_fixture.hpp"

using namespace vtpm;
using namespace vtpm::actors;
using namespace vtpm::tests;

namespace {

/// A pipe whose ends close when told, or in the end.
struct pipe_ends {
  pipe_ends() {
    REQUIRE(::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) == 0);
  }

  ~pipe_ends() {
    for (auto& end : ends)
      close(end);
  }

  static void close(int& end) {
    if (end >= 0)
      ::close(end);
    end = -1;
  }

  int& reader() {
    return ends[0];
  }

  int& writer() {
    return ends[1];
  }

  std::array<int, 2> ends{-1, -1};
};

/// Unwatches a descriptor when it goes.
struct watch_guard {
  ~watch_guard() {
    loop.unwatch(fd);
  }

  reactor& loop;
  int fd;
};

} // namespace

TEST_SUITE("actors/reactor_descriptors") {
  TEST_CASE_FIXTURE(reactor_fixture, "every ring of a doorbell is heard") {
    const auto whom = spawn_counter();
    doorbell bell;
    loop.watch(bell.fd, [&] {
      bell.silence();
      loop.tell(whom, count_atom_v);
    });
    for (auto i = 1; i <= 500; ++i) {
      bell.ring();
      auto total = 0;
      while ((total = ask<int>(whom, total_atom_v)) < i)
        std::this_thread::yield();
      REQUIRE(total == i);
    }
    loop.unwatch(bell.fd);
  }

  TEST_CASE_FIXTURE(reactor_fixture, "what is not read is ready again") {
    doorbell bell;
    auto calls = 0;
    std::promise<void> thrice;
    loop.watch(bell.fd, [&] {
      if (++calls == 3) {
        loop.unwatch(bell.fd);
        thrice.set_value();
      }
    });
    bell.ring();
    thrice.get_future().wait();
    settle();
    CHECK(loop.call([&] { return calls; }) == 3);
  }

  TEST_CASE_FIXTURE(reactor_fixture, "a hang-up counts as readable") {
    pipe_ends ends;
    std::promise<ssize_t> size;
    loop.watch(ends.reader(), [&] {
      auto octet = char{};
      const auto result = ::read(ends.reader(), &octet, 1);
      loop.unwatch(ends.reader());
      size.set_value(result);
    });
    pipe_ends::close(ends.writer());
    CHECK(size.get_future().get() == 0);
  }

  TEST_CASE_FIXTURE(reactor_fixture, "an error counts as readable") {
    pipe_ends ends;
    std::promise<void> called;
    loop.watch(ends.writer(), [&] {
      loop.unwatch(ends.writer());
      called.set_value();
    });
    pipe_ends::close(ends.reader());
    called.get_future().wait();
  }

  TEST_CASE_FIXTURE(reactor_fixture,
                    "a handler that unwatches itself lives on "
                    "until it returns") {
    doorbell bell;
    bell.ring();
    const auto token = std::make_shared<int>(1);
    auto uses_inside = 0l;
    std::promise<void> called;
    loop.watch(bell.fd, [&, held = token] {
      loop.unwatch(bell.fd);
      uses_inside = held.use_count(); // reads the handler's own memory
      called.set_value();
    });
    called.get_future().wait();
    settle();
    CHECK(uses_inside == 2);
    CHECK(token.use_count() == 1);
  }

  TEST_CASE_FIXTURE(reactor_fixture,
                    "unwatching stops an event of the same batch") {
    std::array<doorbell, 2> bells;
    auto calls = 0;
    for (const auto& bell : bells)
      bell.ring();
    loop.call([&] {
      for (auto i = 0u; i < 2; ++i)
        loop.watch(bells[i].fd, [&, i] {
          ++calls;
          loop.unwatch(bells[1 - i].fd);
          bells[i].silence();
        });
    });
    settle();
    settle();
    loop.call([&] {
      CHECK(calls == 1);
      for (const auto& bell : bells)
        loop.unwatch(bell.fd);
    });
  }

  TEST_CASE_FIXTURE(reactor_fixture,
                    "an event does not reach the descriptor's next owner") {
    // Both are ready. Whichever comes first gives the other's number to a new,
    // silent descriptor with a new handler, for which an event is under way.
    std::array<doorbell, 2> bells;
    doorbell silent;
    auto old_calls = 0;
    auto new_calls = 0;
    auto reused = -1;
    for (const auto& bell : bells)
      bell.ring();
    loop.call([&] {
      for (auto i = 0u; i < 2; ++i)
        loop.watch(bells[i].fd, [&, i] {
          ++old_calls;
          bells[i].silence();
          reused = bells[1 - i].fd;
          loop.unwatch(reused);
          REQUIRE(::dup2(silent.fd, reused) == reused); // closes it first
          loop.watch(reused, [&] {
            ++new_calls;
            silent.silence();
          });
        });
    });
    settle();
    settle();
    loop.call([&] {
      CHECK(old_calls == 1);
      CHECK(new_calls == 0);
    });
    silent.ring();
    while (loop.call([&] { return new_calls; }) == 0)
      ;
    loop.call([&] {
      for (const auto& bell : bells)
        loop.unwatch(bell.fd);
    });
  }

  TEST_CASE_FIXTURE(reactor_fixture, "a handler may watch any number more") {
    // The table has to grow while a handler in it runs.
    doorbell bell;
    std::vector<int> copies;
    auto calls = 0;
    bell.ring();
    std::promise<void> all_called;
    loop.watch(bell.fd, [&, name = std::string(100, 'x')] {
      loop.unwatch(bell.fd);
      for (auto i = 0; i < 100; ++i) {
        const auto copy = ::fcntl(bell.fd, F_DUPFD_CLOEXEC, 300 + 7 * i);
        REQUIRE(copy >= 0);
        copies.push_back(copy);
        loop.watch(copy, [&, copy] {
          loop.unwatch(copy);
          if (++calls == 100)
            all_called.set_value();
        });
      }
      CHECK(name == std::string(100, 'x'));
    });
    all_called.get_future().wait();
    settle();
    for (const auto copy : copies)
      ::close(copy);
  }

  TEST_CASE_FIXTURE(reactor_fixture,
                    "after unwatch from another thread nothing runs") {
    doorbell bell;
    bell.ring();
    for (auto i = 0; i < 200; ++i) {
      auto token = std::make_shared<int>(0);
      loop.watch(bell.fd, [held = token] { ++*held; });
      loop.unwatch(bell.fd);
      REQUIRE(token.use_count() == 1);
      *token = 0;
    }
  }

  TEST_CASE_FIXTURE(reactor_fixture, "a handler's end may unwatch another's") {
    // Whatever way the first goes, its guard takes the second along.
    doorbell first;
    doorbell second;
    auto calls = 0;
    first.ring();
    std::promise<void> called;
    loop.call([&] {
      loop.watch(second.fd, [&] { ++calls; });
      const auto guard
        = std::make_shared<watch_guard>(watch_guard{loop, second.fd});
      loop.watch(first.fd, [&, guard] {
        loop.unwatch(first.fd);
        called.set_value();
      });
    });
    called.get_future().wait();
    settle();
    second.ring();
    settle();
    settle();
    CHECK(loop.call([&] { return calls; }) == 0);
  }

  TEST_CASE_FIXTURE(reactor_fixture, "unwatching the unwatched does nothing") {
    doorbell bell;
    loop.unwatch(bell.fd);
    loop.unwatch(100'000);
    loop.unwatch(-1);
    loop.watch(bell.fd, [] {});
    loop.unwatch(bell.fd);
    loop.unwatch(bell.fd);
  }

  TEST_CASE_FIXTURE(reactor_fixture, "what cannot be watched is an exception") {
    const auto fd = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    CHECK_THROWS_AS(loop.watch(fd, [] {}), std::system_error);
    // It left nothing behind.
    CHECK_THROWS_AS(loop.watch(fd, [] {}), std::system_error);
    ::close(fd);
  }

  TEST_CASE_FIXTURE(reactor_fixture,
                    "more descriptors than a batch holds all get their turn") {
    std::vector<std::unique_ptr<doorbell>> bells;
    std::vector<int> calls(200, 0);
    for (auto i = 0u; i < calls.size(); ++i) {
      bells.push_back(std::make_unique<doorbell>());
      bells.back()->ring();
    }
    loop.call([&] {
      for (auto i = 0u; i < calls.size(); ++i)
        loop.watch(bells[i]->fd, [&, i] { ++calls[i]; }); // stays readable
    });
    const auto all_called
      = [&] { return std::find(calls.begin(), calls.end(), 0) == calls.end(); };
    while (!loop.call(all_called))
      ;
    loop.call([&] {
      for (const auto& bell : bells)
        loop.unwatch(bell->fd);
    });
  }
}
