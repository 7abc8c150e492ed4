#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "deploy/result.hpp"
#include "protocol/admin.hpp"
#include "xenio/event_loop.hpp"

// Where vtpmctl asks: a Unix stream socket, mode 0600. One connection carries
// one request and its reply,
//
//     client   request text '\n'
//     vtpmd    reply text '\n', then closes
//
// What the texts say is control_request.hpp's business. Replies may be longer
// than a socket's buffer; they are written as the client reads.

namespace vtpm::deploy {

/// Bounds on what clients may cost.
struct control_limits {
  /// Longest request, line feed not included.
  std::size_t request_size_max = protocol::admin_text_size_max;
  /// Connections open at once; one more is told so and closed.
  std::size_t connections_max = 16;
  /// How long a client may take to send its request, and again to read the
  /// reply. The time between is the handler's.
  std::chrono::milliseconds patience{5000};
};

/// Serves the control socket on an event loop. Never blocks it.
class control_socket {
public:
  /// Takes the reply, without line feed. Only the first call counts, and none
  /// after the client or the `control_socket` has gone; if every copy is
  /// destroyed without a call, the client gets an error. Call and destroy on
  /// the loop's thread.
  using responder = std::function<void(std::string)>;

  /// Gets each request, without its line feed, unchecked; may answer at once or
  /// later.
  using handler = std::function<void(std::string, responder)>;

  /// Listens at `path`. A stale socket is replaced, a live one is an error.
  static result<std::unique_ptr<control_socket>> listen(xenio::event_loop& loop,
                                                        const std::string& path,
                                                        handler on_request,
                                                        control_limits limits
                                                        = {});

  /// Closes every connection and removes the socket. On the loop's thread.
  ~control_socket();

  control_socket(const control_socket&) = delete;
  control_socket& operator=(const control_socket&) = delete;

  /// Returns the number of open connections.
  std::size_t connections() const noexcept;

private:
  class impl;
  class pending_answer;
  explicit control_socket(std::shared_ptr<impl> state) noexcept;
  std::shared_ptr<impl> impl_;
};

} // namespace vtpm::deploy
