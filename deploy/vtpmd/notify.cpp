#include "deploy/vtpmd/notify.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "protocol/log.hpp"
#include "xenio/descriptor.hpp"

namespace vtpm::deploy {

namespace {

/// How long the manager may keep us waiting when its queue is full.
constexpr auto patience = timeval{0, 500'000};

} // namespace

service_notifier::service_notifier(const char* socket)
  : socket_(socket == nullptr ? "" : socket) {
  // nop
}

service_notifier service_notifier::from_environment() {
  return service_notifier{std::getenv("NOTIFY_SOCKET")};
}

void service_notifier::ready() const {
  send("READY=1");
}

void service_notifier::stopping() const {
  send("STOPPING=1");
}

void service_notifier::status(std::string_view line) const {
  auto assignment = "STATUS=" + std::string{line};
  std::replace(assignment.begin(), assignment.end(), '\n', ' ');
  send(assignment);
}

void service_notifier::send(std::string_view assignments) const {
  if (socket_.empty())
    return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_.size() >= sizeof(address.sun_path)
      || (socket_.front() != '/' && socket_.front() != '@')) {
    log().warn("NOTIFY_SOCKET is not a socket's address: {}", socket_);
    return;
  }
  socket_.copy(address.sun_path, socket_.size());
  // An abstract name starts with a zero octet and has no terminator.
  if (socket_.front() == '@')
    address.sun_path[0] = '\0';
  const auto size = offsetof(sockaddr_un, sun_path) + socket_.size()
    + (socket_.front() == '@' ? 0 : 1);
  xenio::descriptor channel{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  // A lost READY=1 would get us killed, a manager that never reads must not
  // stop us.
  ::setsockopt(channel.get(), SOL_SOCKET, SO_SNDTIMEO, &patience,
               sizeof(patience));
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (!channel
      || ::sendto(channel.get(), assignments.data(), assignments.size(),
                  MSG_NOSIGNAL, generic, static_cast<socklen_t>(size))
        < 0)
    log().warn("cannot notify the service manager: {}", std::strerror(errno));
}

} // namespace vtpm::deploy
