#include "deploy/bench/server.hpp"

#include <thread>
#include <utility>

namespace vtpm::deploy {

namespace {

using clock = std::chrono::steady_clock;

/// Between two attempts to connect to a server that is starting: short against
/// any start-up time, long against an attempt.
constexpr auto attempt_interval = std::chrono::microseconds{200};

} // namespace

result<unit> server::launch() {
  auto started = child_process::start(arguments(), path("log"), cpu_);
  if (!started)
    return started.error();
  process_.emplace(std::move(*started));
  return unit{};
}

result<transactor> server::connect_soon() {
  const auto deadline = clock::now() + server_patience;
  for (;;) {
    auto connected = connect();
    if (connected)
      return connected;
    if (process_->ended())
      return problem{arguments().front() + " has ended: see " + path("log")};
    if (clock::now() > deadline)
      return connected;
    std::this_thread::sleep_for(attempt_interval);
  }
}

result<unit> server::start() {
  if (auto launched = launch(); !launched)
    return launched;
  auto connected = connect_soon();
  if (!connected)
    return connected.error();
  run_ = std::move(*connected);
  return unit{};
}

void server::stop() {
  run_ = nullptr;
  if (process_)
    process_->stop();
  process_.reset();
}

result<double> server::time_start(byte_view first_command) {
  stop();
  const auto begin = clock::now();
  if (auto started = start(); !started)
    return started.error();
  const auto response = run_(first_command);
  const auto taken = clock::now() - begin;
  if (!response)
    return response.error();
  return std::chrono::duration<double, std::micro>{taken}.count();
}

} // namespace vtpm::deploy
