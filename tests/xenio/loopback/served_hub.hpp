#pragma once

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "tests/xenio/echo_backend.hpp"
#include "tests/xenio/scratch_directory.hpp"
#include "tests/xenio/test_loop.hpp"
#include "xenio/loopback/frontend.hpp"
#include "xenio/loopback/hub.hpp"

namespace vtpm::tests {

/// vtpmd's side: loop, hub and backend, on a thread of its own.
class served_hub {
public:
  explicit served_hub(std::string socket_path,
                      std::vector<xenio::loopback::claim_rule> rules = {},
                      xenio::loopback::hub_limits limits = {}) {
    auto listening = xenio::loopback::hub::listen(loop_, socket_path,
                                                  std::move(rules), limits);
    REQUIRE(listening);
    hub_ = *std::move(listening);
    backend_ = std::make_unique<echo_backend>(hub_->grants(), hub_->events(),
                                              hub_->store());
    thread_ = std::thread{[this] {
      while (!stop_)
        loop_.turn(std::chrono::milliseconds{1000});
      backend_.reset();
      hub_.reset();
      loop_.settle();
    }};
  }

  ~served_hub() {
    loop_.defer([this] { stop_ = true; });
    thread_.join();
  }

  /// Runs `job` with the backend on the loop's thread and returns its result.
  template <class Job>
  auto with_backend(Job job) {
    std::promise<decltype(job(*backend_))> answer;
    loop_.defer([&] { answer.set_value(job(*backend_)); });
    return answer.get_future().get();
  }

  /// Waits until `condition` of the backend holds.
  template <class Condition>
  bool eventually(Condition condition) {
    for (auto i = 0; i < 5000; ++i) {
      if (with_backend(condition))
        return true;
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    return false;
  }

private:
  test_loop loop_;
  bool stop_ = false;
  std::unique_ptr<xenio::loopback::hub> hub_;
  std::unique_ptr<echo_backend> backend_;
  std::thread thread_;
};

} // namespace vtpm::tests
