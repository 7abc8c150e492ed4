#include "deploy/front/stream_listener.hpp"

#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "deploy/parse_text.hpp"

namespace vtpm::deploy {

namespace {

constexpr auto unix_prefix = std::string_view{"unix:"};

constexpr auto backlog = 16;

using address_list = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

struct host_and_port {
  std::string host;
  std::string port;
};

result<host_and_port> parse_tcp_address(const std::string& text) {
  const auto wrong
    = problem{"\"" + text + "\" is no address: give HOST:PORT or unix:PATH"};
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0)
    return wrong;
  host_and_port parts{text.substr(0, colon), text.substr(colon + 1)};
  if (!parse_number<std::uint16_t>(parts.port))
    return wrong;
  auto& host = parts.host;
  if (host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string::npos)
    return wrong;
  return parts;
}

bool is_loopback(const sockaddr& address) noexcept {
  if (address.sa_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return (ntohl(v4.sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
  }
  if (address.sa_family != AF_INET6)
    return false;
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

/// Returns the port that a bound socket got.
std::uint16_t port_of(int socket) {
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  auto* generic = reinterpret_cast<sockaddr*>(&bound);
  if (::getsockname(socket, generic, &size) != 0)
    return 0;
  return ntohs(bound.ss_family == AF_INET6
                 ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                 : reinterpret_cast<const sockaddr_in&>(bound).sin_port);
}

} // namespace

result<stream_listener> stream_listener::open(const std::string& address) {
  if (!address.starts_with(unix_prefix))
    return open_tcp(address);
  auto socket = unix_listener::open(address.substr(unix_prefix.size()),
                                    S_IRUSR | S_IWUSR);
  if (!socket)
    return socket.error();
  return stream_listener{std::move(*socket), address};
}

result<stream_listener> stream_listener::open_tcp(const std::string& address) {
  const auto parts = parse_tcp_address(address);
  if (!parts)
    return parts.error();
  const auto refused = [&address](const std::string& why) {
    return problem{"cannot listen on " + address + ": " + why};
  };
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const auto code
    = ::getaddrinfo(parts->host.c_str(), parts->port.c_str(), &hints, &found);
  if (code != 0)
    return refused(::gai_strerror(code));
  const address_list list{found, &::freeaddrinfo};
  if (!is_loopback(*list->ai_addr))
    return refused("not a loopback address, and a TPM stream is open to "
                   "whoever can connect");
  descriptor socket{
    ::socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket)
    return refused(std::strerror(errno));
  // A restart must not wait for the old connections to time out.
  const auto yes = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (::bind(socket.get(), list->ai_addr, list->ai_addrlen) != 0
      || ::listen(socket.get(), backlog) != 0)
    return refused(std::strerror(errno));
  auto name = address.substr(0, address.rfind(':') + 1)
    + std::to_string(port_of(socket.get()));
  return stream_listener{std::move(socket), std::move(name)};
}

int stream_listener::get() const noexcept {
  return std::visit([](const auto& socket) { return socket.get(); }, socket_);
}

} // namespace vtpm::deploy
