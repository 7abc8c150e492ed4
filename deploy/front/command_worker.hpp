#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "deploy/front/ring_client.hpp"
#include "xenio/descriptor.hpp"

namespace vtpm::deploy {

/// Names one client of the worker.
using client_id = std::uint64_t;

/// A thread that takes commands to the ring, one at a time, in the order they
/// came, while its owner goes on serving sockets.
class command_worker {
public:
  /// A command that has ended.
  struct completion {
    client_id client;
    result<byte_vector> response;
  };

  explicit command_worker(transactor run);

  /// Waits for the command under way; drops the others.
  ~command_worker();

  command_worker(const command_worker&) = delete;
  command_worker& operator=(const command_worker&) = delete;

  /// Queues a command. A client has one at a time.
  void submit(client_id client, byte_vector command);

  /// Drops the client's command if it has not started.
  void forget(client_id client);

  /// Readable while `take` has something to give.
  int descriptor() const noexcept {
    return event_.get();
  }

  /// Returns what has ended since the last call, in order.
  std::vector<completion> take();

  /// Returns whether a command is with the ring.
  bool busy() const;

private:
  struct job {
    client_id client;
    byte_vector command;
  };

  void work();
  std::optional<job> next_job();
  void finish(completion done);

  const transactor run_;
  const xenio::descriptor event_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<job> queue_;
  std::vector<completion> done_;
  bool busy_ = false;
  bool stopping_ = false;
  /// Last, so that it starts when all else is there.
  std::thread thread_;
};

} // namespace vtpm::deploy
