// Goal: the worker's jobs all run, in order, on one thread of its own, which
// exists only if there is something to do.

#include "actors/worker.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

using namespace vtpm::actors;

namespace {

/// Returns how many threads of this process have a worker's name.
int worker_threads() {
  auto result = 0;
  for (const auto& task :
       std::filesystem::directory_iterator{"/proc/self/task"}) {
    std::ifstream file{task.path() / "comm"};
    std::string name;
    std::getline(file, name);
    result += name == "worker" ? 1 : 0;
  }
  return result;
}

} // namespace

TEST_SUITE("actors/worker") {
  TEST_CASE("jobs run in order, on one thread that is not ours") {
    std::vector<int> order;
    std::vector<std::thread::id> threads;
    {
      const auto helper = make_thread_worker();
      for (auto i = 0; i < 1000; ++i)
        helper->run([&, i] {
          order.push_back(i);
          threads.push_back(std::this_thread::get_id());
        });
    }
    CHECK(order.size() == 1000);
    CHECK(std::is_sorted(order.begin(), order.end()));
    CHECK(std::count(threads.begin(), threads.end(), threads.front()) == 1000);
    CHECK(threads.front() != std::this_thread::get_id());
  }

  TEST_CASE("the thread comes with the first job and goes with the worker") {
    auto helper = make_thread_worker();
    CHECK(worker_threads() == 0);
    std::promise<void> ran;
    helper->run([&] { ran.set_value(); });
    ran.get_future().wait();
    CHECK(worker_threads() == 1);
    helper.reset();
    // The kernel lists a thread for a moment after it was joined.
    while (worker_threads() != 0)
      std::this_thread::yield();
  }

  TEST_CASE("a worker without a job ends at once") {
    make_thread_worker();
  }

  TEST_CASE("the end waits for the job under way") {
    std::promise<void> started;
    auto ended = false;
    {
      const auto helper = make_thread_worker();
      helper->run([&] {
        started.set_value();
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
        ended = true;
      });
      started.get_future().wait();
    }
    CHECK(ended);
  }

  TEST_CASE("a job may be given by the report of the last") {
    // As an actor does: the next job comes while the last one returns.
    std::promise<void> done;
    {
      const auto helper = make_thread_worker();
      for (auto i = 0; i < 1000; ++i) {
        std::promise<void> reported;
        helper->run([&] { reported.set_value(); });
        reported.get_future().wait();
      }
      helper->run([&] { done.set_value(); });
      done.get_future().wait();
    }
  }

  TEST_CASE("what a job holds goes before the next one starts") {
    const auto token = std::make_shared<int>();
    auto uses = 0l;
    {
      const auto helper = make_thread_worker();
      std::promise<void> given;
      helper->run(
        [token, given = given.get_future().share()] { given.wait(); });
      helper->run([&] { uses = token.use_count(); });
      given.set_value();
    }
    CHECK(uses == 1);
  }
}
