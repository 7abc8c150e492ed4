#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

#include "protocol/bytes.hpp"
#include "xenio/errc.hpp"
#include "xenio/descriptor.hpp"

// Local sockets that keep message boundaries and carry descriptors.

namespace vtpm::xenio::loopback {

/// No honest message carries more descriptors than one; what comes beyond this
/// many the kernel closes.
inline constexpr std::size_t descriptors_max = 2;

/// One message as it came.
struct packet {
  byte_vector octets;
  std::vector<descriptor> descriptors;
};

/// Connects to a listening socket. Never waits: when the listener's backlog is
/// full the error says so.
result<descriptor> dial(const std::string& socket_path);

/// Listens on `socket_path` with mode 0660. A socket that nobody listens on any
/// more is replaced; a live one, or a file that is no socket, is an error.
result<descriptor> listen_at(const std::string& socket_path);

/// Sends one message without waiting. `errc::gone` when the peer is, or when it
/// has left so much unread that there is no room.
result<unit> send_packet(int socket, byte_view octets,
                         std::span<const int> descriptors = {});

/// Takes one message without waiting; nothing when there is none. `errc::gone`
/// when the peer has closed, `errc::protocol` when the message is longer than
/// any of ours or carries more descriptors.
result<std::optional<packet>> receive_packet(int socket);

/// Returns whether the peer has closed.
bool hung_up(int socket) noexcept;

/// Returns the user that opened the other end (SO_PEERCRED).
result<uid_t> peer_user(int socket);

} // namespace vtpm::xenio::loopback
