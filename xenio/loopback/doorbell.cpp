#include "xenio/loopback/doorbell.hpp"

#include <array>
#include <cerrno>
#include <cstdint>

#include <sys/socket.h>

namespace vtpm::xenio::loopback {

namespace {

int option_of(int socket, int name) noexcept {
  int value = -1;
  socklen_t size = sizeof(value);
  if (::getsockopt(socket, SOL_SOCKET, name, &value, &size) != 0)
    return -1;
  return value;
}

/// Returns whether `name_of` (getsockname or getpeername) yields an address
/// without a name, which is its family alone (unix(7)).
bool is_unnamed(int socket, int (*name_of)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  return name_of(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0
    && size == sizeof(sa_family_t);
}

} // namespace

result<doorbell_pair> make_doorbell() {
  std::array<int, 2> ends;
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return io_error("cannot make a doorbell", errno);
  return doorbell_pair{descriptor{ends[0]}, descriptor{ends[1]}};
}

result<unit> check_doorbell(int socket) {
  if (option_of(socket, SO_DOMAIN) != AF_UNIX
      || option_of(socket, SO_TYPE) != SOCK_SEQPACKET
      || !is_unnamed(socket, ::getsockname)
      || !is_unnamed(socket, ::getpeername))
    return error{errc::bad_channel,
                 "the doorbell is not one of a pair of local SOCK_SEQPACKET "
                 "sockets"};
  return unit{};
}

bool ring(int socket) noexcept {
  const std::uint8_t octet = 1;
  return ::send(socket, &octet, sizeof(octet), MSG_DONTWAIT | MSG_NOSIGNAL) == 1
    || errno == EAGAIN || errno == EINTR || errno == ENOBUFS;
}

rings drain(int socket, unsigned most) noexcept {
  rings found;
  while (found.count < most) {
    std::uint8_t octet;
    const auto size = ::recv(socket, &octet, sizeof(octet), MSG_DONTWAIT);
    if (size <= 0) {
      found.closed = size == 0 || (errno != EAGAIN && errno != EINTR);
      break;
    }
    ++found.count;
  }
  return found;
}

} // namespace vtpm::xenio::loopback
