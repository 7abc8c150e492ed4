#pragma once

#include <string>
#include <variant>

#include "deploy/result.hpp"
#include "deploy/unix_socket.hpp"

namespace vtpm::deploy {

/// Where streams of TPM commands come in.
class stream_listener {
public:
  /// Listens at "HOST:PORT", where HOST is a loopback address or a name for
  /// one, IPv6 in brackets, and PORT may be 0 for any; or at "unix:PATH", mode
  /// 0600. A raw TPM stream has no authentication: other addresses are refused.
  static result<stream_listener> open(const std::string& address);

  /// Nonblocking.
  int get() const noexcept;

  /// Returns the address in the form that `open` takes, with the real port.
  const std::string& name() const noexcept {
    return name_;
  }

private:
  using socket_type = std::variant<descriptor, unix_listener>;

  stream_listener(socket_type socket, std::string name)
    : socket_(std::move(socket)), name_(std::move(name)) {
    // nop
  }

  static result<stream_listener> open_tcp(const std::string& address);

  socket_type socket_;
  std::string name_;
};

} // namespace vtpm::deploy
