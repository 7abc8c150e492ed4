#include "xenio/simulated/loop.hpp"

#include <cassert>
#include <cstdlib>
#include <utility>

namespace vtpm::xenio::simulated {

void loop::watch(int descriptor, std::function<void()> on_readable) {
  handlers_[descriptor] = std::move(on_readable);
}

void loop::unwatch(int descriptor) {
  handlers_.erase(descriptor);
}

void loop::defer(std::function<void()> job) {
  jobs_.push_back(std::move(job));
}

bool loop::run_one() {
  if (jobs_.empty())
    return false;
  auto job = std::move(jobs_.front());
  jobs_.pop_front();
  job();
  return true;
}

std::size_t loop::run_until_idle() {
  constexpr std::size_t jobs_max = 1'000'000;
  std::size_t count = 0;
  while (run_one())
    if (++count > jobs_max)
      std::abort(); // two parties answer each other for ever: a bug
  return count;
}

bool loop::make_readable(int descriptor) {
  auto entry = handlers_.find(descriptor);
  if (entry == handlers_.end())
    return false;
  const auto on_readable = entry->second;
  on_readable();
  return true;
}

} // namespace vtpm::xenio::simulated
