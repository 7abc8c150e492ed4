#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include <poll.h>

#include "deploy/front/command_framer.hpp"
#include "deploy/front/command_worker.hpp"
#include "deploy/front/stream_listener.hpp"
#include "deploy/result.hpp"

namespace vtpm::deploy {

/// Serves raw command streams, several at once and command by command: a client
/// that keeps its connection open without asking blocks nobody, and one that
/// asks all the time waits its turn. One thread waits for sockets, the worker's
/// for the ring.
class stream_server {
public:
  /// Connections open at once; further ones wait in the kernel's queue.
  static constexpr std::size_t connections_max = 64;

  stream_server(stream_listener listener, transactor run);

  /// Serves until `stop` becomes readable, or the ring fails for good; listens
  /// no more then. Call once.
  result<unit> run(int stop);

  /// Returns whether a command is with the ring: destroying the server then
  /// waits for it.
  bool busy() const {
    return worker_.busy();
  }

private:
  struct client {
    descriptor socket;
    command_framer framer;
    /// A command is queued or running.
    bool waiting = false;
    /// The client has closed its side: the last response, then goodbye.
    bool ended = false;
    /// What of the response has not been sent yet.
    byte_vector pending;
  };

  using client_map = std::map<client_id, client>;

  result<unit> serve_all(int stop);
  short events_of(const client& one) const noexcept;
  void accept_some();
  /// These return whether the client stays.
  bool serve(client_id id, client& one, short events);
  bool read_some(client& one);
  bool write_some(client& one);
  bool submit_next(client_id id, client& one);
  result<unit> deliver();

  /// Empty once `run` has returned.
  std::optional<stream_listener> listener_;
  client_map clients_;
  client_id next_id_ = 0;
  /// Accepting failed for want of descriptors or memory.
  bool paused_ = false;
  command_worker worker_;
};

} // namespace vtpm::deploy
