#include "deploy/front/command_worker.hpp"

#include <cassert>
#include <utility>

#include <sys/eventfd.h>

namespace vtpm::deploy {

command_worker::command_worker(transactor run)
  : run_(std::move(run)),
    event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
    thread_([this] { work(); }) {
  assert(event_);
}

command_worker::~command_worker() {
  {
    const std::lock_guard guard{mutex_};
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void command_worker::submit(client_id client, byte_vector command) {
  {
    const std::lock_guard guard{mutex_};
    queue_.push_back({client, std::move(command)});
  }
  changed_.notify_one();
}

void command_worker::forget(client_id client) {
  const std::lock_guard guard{mutex_};
  std::erase_if(queue_,
                [client](const job& one) { return one.client == client; });
}

std::vector<command_worker::completion> command_worker::take() {
  const std::lock_guard guard{mutex_};
  ::eventfd_t count;
  ::eventfd_read(event_.get(), &count);
  return std::exchange(done_, {});
}

bool command_worker::busy() const {
  const std::lock_guard guard{mutex_};
  return busy_;
}

void command_worker::work() {
  while (auto one = next_job())
    finish({one->client, run_(one->command)});
}

std::optional<command_worker::job> command_worker::next_job() {
  std::unique_lock guard{mutex_};
  changed_.wait(guard, [this] { return stopping_ || !queue_.empty(); });
  if (stopping_)
    return std::nullopt;
  auto one = std::move(queue_.front());
  queue_.pop_front();
  busy_ = true;
  return one;
}

void command_worker::finish(completion done) {
  const std::lock_guard guard{mutex_};
  busy_ = false;
  done_.push_back(std::move(done));
  ::eventfd_write(event_.get(), 1);
}

} // namespace vtpm::deploy
