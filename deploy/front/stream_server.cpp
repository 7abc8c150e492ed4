#include "deploy/front/stream_server.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "protocol/log.hpp"
#include "protocol/tpmif.hpp"

namespace vtpm::deploy {

namespace {

/// How long accepting pauses when the system is out of something.
constexpr auto accept_pause_ms = 1000;

/// Where the fixed descriptors are in the list to wait for.
enum : std::size_t { stop_slot, worker_slot, listener_slot, client_slots };

} // namespace

stream_server::stream_server(stream_listener listener, transactor run)
  : listener_(std::move(listener)), worker_(std::move(run)) {
  // nop
}

result<unit> stream_server::run(int stop) {
  auto ended = serve_all(stop);
  listener_.reset();
  return ended;
}

result<unit> stream_server::serve_all(int stop) {
  for (;;) {
    const auto may_accept = !paused_ && clients_.size() < connections_max;
    std::vector<pollfd> waiting = {
      {stop, POLLIN, 0},
      {worker_.descriptor(), POLLIN, 0},
      {may_accept ? listener_->get() : -1, POLLIN, 0},
    };
    for (const auto& [id, one] : clients_)
      waiting.push_back({one.socket.get(), events_of(one), 0});
    if (::poll(waiting.data(), waiting.size(), paused_ ? accept_pause_ms : -1)
          < 0
        && errno != EINTR)
      return problem{std::string{"cannot wait for clients: "}
                     + std::strerror(errno)};
    paused_ = false;
    if (waiting[stop_slot].revents != 0)
      return unit{};
    auto slot = std::size_t{client_slots};
    for (auto i = clients_.begin(); i != clients_.end(); ++slot) {
      if (serve(i->first, i->second, waiting[slot].revents)) {
        ++i;
      } else {
        worker_.forget(i->first);
        i = clients_.erase(i);
      }
    }
    if (waiting[worker_slot].revents != 0)
      if (const auto done = deliver(); !done)
        return done.error();
    if (waiting[listener_slot].revents != 0)
      accept_some();
  }
}

short stream_server::events_of(const client& one) const noexcept {
  if (!one.pending.empty())
    return POLLOUT;
  // While it waits, more of its commands stay in its socket.
  return one.waiting ? short{0} : POLLIN;
}

void stream_server::accept_some() {
  while (clients_.size() < connections_max) {
    descriptor socket{::accept4(listener_->get(), nullptr, nullptr,
                                SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (!socket) {
      if (errno == ECONNABORTED || errno == EINTR)
        continue;
      if (errno != EAGAIN) {
        log().warn("cannot accept a connection: {}", std::strerror(errno));
        paused_ = true;
      }
      return;
    }
    // Responses are sent whole; waiting to fill a segment only delays them. A
    // Unix socket refuses this and does not need it.
    const auto yes = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    clients_[next_id_++].socket = std::move(socket);
  }
}

bool stream_server::serve(client_id id, client& one, short events) {
  if (events == 0)
    return true;
  if (!one.pending.empty()) {
    if (!write_some(one))
      return false;
  } else if (one.waiting) {
    // Nothing was asked for, so this is an error or a hang-up.
    return false;
  } else if (!read_some(one)) {
    return false;
  }
  return !one.pending.empty() || submit_next(id, one);
}

bool stream_server::read_some(client& one) {
  std::array<std::uint8_t, protocol::packet_size_max> buffer;
  const auto count = ::recv(one.socket.get(), buffer.data(), buffer.size(), 0);
  if (count < 0)
    return errno == EAGAIN || errno == EINTR;
  one.ended = count == 0;
  one.framer.push(byte_view{buffer}.first(static_cast<std::size_t>(count)));
  return true;
}

bool stream_server::write_some(client& one) {
  const auto count = ::send(one.socket.get(), one.pending.data(),
                            one.pending.size(), MSG_NOSIGNAL);
  if (count < 0)
    return errno == EAGAIN || errno == EINTR;
  one.pending.erase(one.pending.begin(), one.pending.begin() + count);
  return true;
}

bool stream_server::submit_next(client_id id, client& one) {
  auto command = one.framer.next();
  if (!command) {
    log().warn("a connection is closed: {}", command.error().text);
    return false;
  }
  if (!*command)
    return !one.ended;
  worker_.submit(id, std::move(**command));
  one.waiting = true;
  return true;
}

result<unit> stream_server::deliver() {
  for (auto& done : worker_.take()) {
    if (!done.response)
      return done.response.error();
    const auto found = clients_.find(done.client);
    if (found == clients_.end())
      continue;
    auto& [id, one] = *found;
    one.waiting = false;
    one.pending = std::move(*done.response);
    if (!write_some(one) || (one.pending.empty() && !submit_next(id, one)))
      clients_.erase(found);
  }
  return unit{};
}

} // namespace vtpm::deploy
