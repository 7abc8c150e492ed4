#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include <sys/socket.h>

#include <doctest/doctest.h>

#include "deploy/unix_socket.hpp"

namespace vtpm::tests {

/// The other end of one of our Unix stream sockets. Never waits.
class socket_client {
public:
  explicit socket_client(const std::string& path) {
    auto socket = deploy::connect_unix(path);
    REQUIRE(socket);
    socket_ = std::move(*socket);
  }

  /// Sends all of `text`, which must fit into the socket's buffer.
  void send(std::string_view text) {
    REQUIRE(::send(socket_.get(), text.data(), text.size(),
                   MSG_DONTWAIT | MSG_NOSIGNAL)
            == static_cast<ssize_t>(text.size()));
  }

  /// Says that nothing more will be sent.
  void finish() {
    REQUIRE(::shutdown(socket_.get(), SHUT_WR) == 0);
  }

  /// Takes at most `size_max` octets of what has come. Returns whether any did.
  bool receive(std::size_t size_max = 65536) {
    std::array<char, 65536> buffer;
    const auto count = ::recv(socket_.get(), buffer.data(),
                              std::min(size_max, buffer.size()), MSG_DONTWAIT);
    if (count > 0)
      received_.append(buffer.data(), static_cast<std::size_t>(count));
    // A reset is an end too: we were refused before we were read.
    if (count == 0 || (count < 0 && errno != EAGAIN))
      ended_ = true;
    return count > 0;
  }

  /// Takes what has come. Returns whether the other side has closed.
  bool ended() {
    while (receive())
      ;
    return ended_;
  }

  const std::string& received() const {
    return received_;
  }

  /// Goes away.
  void close() {
    socket_ = {};
  }

private:
  deploy::descriptor socket_;
  std::string received_;
  bool ended_ = false;
};

} // namespace vtpm::tests
