#include "deploy/unix_socket.hpp"

#include <cerrno>
#include <cstring>
#include <optional>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace vtpm::deploy {

namespace {

/// Connections that wait for `accept`; more are refused by the kernel.
constexpr auto backlog = 16;

problem os_problem(const std::string& what, int os_error) {
  return {what + ": " + std::strerror(os_error)};
}

result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty())
    return problem{"the path of a socket is empty"};
  if (path.size() >= sizeof(address.sun_path))
    return problem{"socket path " + path + " is longer than "
                   + std::to_string(sizeof(address.sun_path) - 1)
                   + " octets: choose a shorter one"};
  path.copy(address.sun_path, path.size());
  return address;
}

/// Returns the `errno` value of a failed connect, or 0.
int try_connect(int socket, const sockaddr_un& address) {
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  return ::connect(socket, generic, sizeof(address)) == 0 ? 0 : errno;
}

/// Makes way at `path` if what is there is a socket that nobody listens on.
result<unit> remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat found;
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT)
      return unit{};
    return os_problem("cannot look at " + path, errno);
  }
  if (!S_ISSOCK(found.st_mode))
    return problem{path
                   + " exists and is not a socket: remove it or choose "
                     "another path"};
  descriptor probe{
    ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!probe)
    return os_problem("cannot make a socket", errno);
  const auto os_error = try_connect(probe.get(), address);
  if (os_error != ECONNREFUSED)
    return problem{"another process listens on " + path
                   + ": stop it or choose another path"};
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return os_problem("cannot remove the stale socket " + path, errno);
  return unit{};
}

} // namespace

result<unix_listener> unix_listener::open(const std::string& path,
                                          mode_t mode) {
  const auto address = address_of(path);
  if (!address)
    return address.error();
  const auto cleared = remove_stale(path, *address);
  if (!cleared)
    return cleared.error();
  descriptor socket{
    ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket)
    return os_problem("cannot make a socket", errno);
  // Before `bind`, so that the name never exists with wider permissions.
  if (::fchmod(socket.get(), mode) != 0)
    return os_problem("cannot set the permissions of a socket", errno);
  const auto* generic = reinterpret_cast<const sockaddr*>(&*address);
  if (::bind(socket.get(), generic, sizeof(*address)) != 0)
    return os_problem("cannot listen on " + path, errno);
  struct stat identity;
  if (::lstat(path.c_str(), &identity) != 0)
    return os_problem("cannot look at " + path, errno);
  unix_listener listener{std::move(socket), path, identity};
  if (::listen(listener.get(), backlog) != 0)
    return os_problem("cannot listen on " + path, errno);
  return listener;
}

unix_listener::~unix_listener() {
  struct stat found;
  if (socket_ && ::lstat(path_.c_str(), &found) == 0
      && found.st_dev == identity_.st_dev && found.st_ino == identity_.st_ino)
    ::unlink(path_.c_str());
}

result<descriptor> connect_unix(const std::string& path) {
  const auto address = address_of(path);
  if (!address)
    return address.error();
  descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!socket)
    return os_problem("cannot make a socket", errno);
  if (const auto os_error = try_connect(socket.get(), *address); os_error != 0)
    return os_problem("cannot connect to " + path, os_error);
  return socket;
}

} // namespace vtpm::deploy
