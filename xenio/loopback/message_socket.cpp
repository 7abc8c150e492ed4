#include "xenio/loopback/message_socket.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "xenio/loopback/wire.hpp"

namespace vtpm::xenio::loopback {

namespace {

/// Connection requests that may wait while the loop is busy.
constexpr int backlog = SOMAXCONN;

result<sockaddr_un> address_of(const std::string& socket_path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (socket_path.empty() || socket_path.size() >= sizeof(address.sun_path))
    return error{errc::io,
                 "the socket path '" + socket_path
                   + "' is empty or longer than "
                   + std::to_string(sizeof(address.sun_path) - 1) + " octets"};
  std::memcpy(address.sun_path, socket_path.data(), socket_path.size());
  return address;
}

descriptor make_socket() {
  return descriptor{
    ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
}

const sockaddr* generic(const sockaddr_un& address) noexcept {
  return reinterpret_cast<const sockaddr*>(&address);
}

/// Makes room for a listener at `socket_path`.
result<unit> clear_stale(const std::string& socket_path) {
  struct stat status = {};
  if (::lstat(socket_path.c_str(), &status) != 0)
    return unit{};
  if (!S_ISSOCK(status.st_mode))
    return error{errc::io, "'" + socket_path + "' exists and is no socket"};
  const auto address = address_of(socket_path);
  if (!address)
    return address.error();
  const auto probe = make_socket();
  if (!probe)
    return io_error("cannot make a socket", errno);
  if (::connect(probe.get(), generic(*address), sizeof(*address)) == 0
      || errno != ECONNREFUSED)
    return error{errc::io, "another process listens on '" + socket_path + "'"};
  if (::unlink(socket_path.c_str()) != 0 && errno != ENOENT)
    return io_error("cannot remove the stale socket '" + socket_path + "'",
                    errno);
  return unit{};
}

/// Takes over the descriptors that came with a message.
std::vector<descriptor> collect(msghdr& header) {
  std::vector<descriptor> found;
  for (auto part = CMSG_FIRSTHDR(&header); part != nullptr;
       part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
      continue;
    const auto count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      found.emplace_back(fd);
    }
  }
  return found;
}

} // namespace

result<descriptor> dial(const std::string& socket_path) {
  const auto address = address_of(socket_path);
  if (!address)
    return address.error();
  auto socket = make_socket();
  if (!socket)
    return io_error("cannot make a socket", errno);
  if (::connect(socket.get(), generic(*address), sizeof(*address)) != 0)
    return io_error("cannot connect to '" + socket_path + "'", errno);
  return socket;
}

result<descriptor> listen_at(const std::string& socket_path) {
  const auto address = address_of(socket_path);
  if (!address)
    return address.error();
  if (auto cleared = clear_stale(socket_path); !cleared)
    return cleared.error();
  auto socket = make_socket();
  if (!socket)
    return io_error("cannot make a socket", errno);
  // Before bind, so that the socket is at no time open to more; after it too,
  // because bind takes the umask off.
  constexpr mode_t mode = 0660;
  if (::fchmod(socket.get(), mode) != 0
      || ::bind(socket.get(), generic(*address), sizeof(*address)) != 0
      || ::chmod(socket_path.c_str(), mode) != 0
      || ::listen(socket.get(), backlog) != 0)
    return io_error("cannot listen on '" + socket_path + "'", errno);
  return socket;
}

result<unit> send_packet(int socket, byte_view octets,
                         std::span<const int> descriptors) {
  iovec part = {const_cast<std::uint8_t*>(octets.data()), octets.size()};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  std::vector<std::uint8_t> control(
    CMSG_SPACE(descriptors.size() * sizeof(int)));
  if (!descriptors.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    auto rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::memcpy(CMSG_DATA(rights), descriptors.data(),
                descriptors.size() * sizeof(int));
  }
  if (::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
    return unit{};
  if (errno == EAGAIN)
    return error{errc::gone, "the peer does not read its messages"};
  if (errno == EPIPE || errno == ECONNRESET)
    return error{errc::gone, "the peer has closed the connection"};
  return io_error("cannot send", errno);
}

result<std::optional<packet>> receive_packet(int socket) {
  std::array<std::uint8_t, wire::message_size_max> buffer;
  iovec part = {buffer.data(), buffer.size()};
  alignas(cmsghdr)
    std::array<std::uint8_t, CMSG_SPACE(descriptors_max * sizeof(int))>
      control;
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const auto size = ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size < 0) {
    if (errno == EAGAIN || errno == EINTR)
      return std::optional<packet>{};
    if (errno == ECONNRESET)
      return error{errc::gone, "the peer has closed the connection"};
    return io_error("cannot receive", errno);
  }
  auto descriptors = collect(header);
  if (size == 0)
    return error{errc::gone, "the peer has closed the connection"};
  if ((header.msg_flags & MSG_TRUNC) != 0)
    return error{errc::protocol, "an oversized message"};
  if ((header.msg_flags & MSG_CTRUNC) != 0)
    return error{errc::protocol,
                 "more descriptors than it may pass, or than "
                 "this process may have open"};
  const auto octets = byte_view{buffer}.first(static_cast<std::size_t>(size));
  return std::optional{
    packet{{octets.begin(), octets.end()}, std::move(descriptors)}};
}

bool hung_up(int socket) noexcept {
  pollfd state = {socket, 0, 0};
  return ::poll(&state, 1, 0) == 1;
}

result<uid_t> peer_user(int socket) {
  ucred credentials = {};
  socklen_t size = sizeof(credentials);
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return io_error("cannot tell the peer's user", errno);
  return credentials.uid;
}

} // namespace vtpm::xenio::loopback
