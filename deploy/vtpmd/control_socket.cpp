#include "deploy/vtpmd/control_socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "deploy/unix_socket.hpp"
#include "deploy/vtpmd/control_request.hpp"
#include "protocol/log.hpp"

namespace vtpm::deploy {

namespace {

using clock = std::chrono::steady_clock;

/// How long accepting pauses when the process is out of descriptors.
constexpr auto accept_pause = std::chrono::milliseconds{1000};

/// Events taken per turn; what remains is taken in the next.
constexpr auto events_max = 8;

enum class phase : std::uint8_t {
  /// The request is coming in.
  reading,
  /// The handler has it.
  waiting,
  /// The reply is going out.
  writing,
};

/// Names a connection for good, unlike its descriptor, which is used again.
using connection_id = std::uint64_t;

constexpr auto listener_id = connection_id{0};
constexpr auto timer_id = connection_id{1};
constexpr auto first_client_id = connection_id{2};

struct connection {
  descriptor socket;
  phase now = phase::reading;
  clock::time_point deadline;
  /// The request as far as it has come, then the reply.
  std::string text;
  std::size_t written = 0;
};

} // namespace

/// The right to answer one request. Whoever holds the last copy of a responder
/// and lets it go unused has lost the request: the client is told.
class control_socket::pending_answer {
public:
  pending_answer(std::weak_ptr<impl> owner, connection_id id) noexcept
    : owner_(std::move(owner)), id_(id) {
    // nop
  }

  pending_answer(const pending_answer&) = delete;
  pending_answer& operator=(const pending_answer&) = delete;

  ~pending_answer() {
    give(control_failure("vtpmd did not carry out the request"));
  }

  void give(std::string text);

private:
  std::weak_ptr<impl> owner_;
  connection_id id_;
};

/// The loop can only wait for reading. So the listener, the connections and
/// the timer live in an epoll set of their own, which is itself readable
/// whenever one of them has something to do, writing included.
class control_socket::impl : public std::enable_shared_from_this<impl> {
public:
  impl(xenio::event_loop& loop, unix_listener listener, handler on_request,
       control_limits limits)
    : loop_(loop),
      listener_(std::move(listener)),
      on_request_(std::move(on_request)),
      limits_(limits) {
    // nop
  }

  result<unit> start() {
    epoll_ = descriptor{::epoll_create1(EPOLL_CLOEXEC)};
    timer_ = descriptor{
      ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)};
    if (!epoll_ || !timer_
        || !control(EPOLL_CTL_ADD, timer_.get(), timer_id, EPOLLIN)
        || !control(EPOLL_CTL_ADD, listener_->get(), listener_id, EPOLLIN))
      return problem{std::string{"cannot serve the control socket: "}
                     + std::strerror(errno)};
    loop_.watch(epoll_.get(), [this] { turn(); });
    return unit{};
  }

  void stop() {
    loop_.unwatch(epoll_.get());
    connections_.clear();
    listener_.reset();
  }

  void reply(connection_id id, std::string text) {
    const auto which = connections_.find(id);
    if (which == connections_.end())
      return;
    begin_reply(which, std::move(text));
    arm();
  }

  std::size_t size() const noexcept {
    return connections_.size();
  }

private:
  using map_type = std::map<connection_id, connection>;

  bool control(int operation, int target, connection_id id,
               std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = id;
    return ::epoll_ctl(epoll_.get(), operation, target, &event) == 0;
  }

  void turn() {
    // A handler may destroy the control_socket.
    const auto self = shared_from_this();
    std::array<epoll_event, events_max> events;
    const auto count
      = ::epoll_wait(epoll_.get(), events.data(), events_max, /*timeout=*/0);
    for (auto i = 0; i < count && listener_; ++i) {
      const auto source = events[static_cast<std::size_t>(i)].data.u64;
      if (source == listener_id)
        accept_one();
      else if (source == timer_id)
        expire();
      else if (auto found = connections_.find(source);
               found != connections_.end())
        serve(found);
    }
    arm();
  }

  void accept_one() {
    descriptor socket{::accept4(listener_->get(), nullptr, nullptr,
                                SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (!socket) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM
          || errno == ENOBUFS) {
        log().warn("control socket: cannot accept: {}", std::strerror(errno));
        // Left in the set, the waiting client would keep the loop spinning.
        control(EPOLL_CTL_DEL, listener_->get(), listener_id, 0);
        accept_again_ = clock::now() + accept_pause;
      }
      return;
    }
    if (connections_.size() == limits_.connections_max) {
      const auto reply
        = control_failure("too many connections, try later") + '\n';
      ::send(socket.get(), reply.data(), reply.size(), MSG_NOSIGNAL);
      return;
    }
    const auto id = next_id_++;
    if (!control(EPOLL_CTL_ADD, socket.get(), id, EPOLLIN))
      return;
    connection fresh;
    fresh.socket = std::move(socket);
    fresh.deadline = clock::now() + limits_.patience;
    connections_.emplace(id, std::move(fresh));
  }

  void serve(map_type::iterator which) {
    switch (which->second.now) {
      case phase::reading:
        return read_some(which);
      case phase::waiting:
        // Only a hang-up is reported now: nobody waits for the reply.
        return void(connections_.erase(which));
      case phase::writing:
        return write_some(which);
    }
  }

  void read_some(map_type::iterator which) {
    auto& [id, client] = *which;
    std::array<char, 512> buffer;
    const auto count
      = ::recv(client.socket.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (count <= 0)
      return void(connections_.erase(which));
    client.text.append(buffer.data(), static_cast<std::size_t>(count));
    const auto end = client.text.find('\n');
    if (std::min(end, client.text.size()) > limits_.request_size_max)
      return begin_reply(which, control_failure("the request is too long"));
    if (end == std::string::npos)
      return;
    client.text.resize(end);
    client.now = phase::waiting;
    client.deadline = clock::time_point::max();
    control(EPOLL_CTL_MOD, client.socket.get(), id, 0);
    on_request_(std::exchange(client.text, {}), make_responder(id));
  }

  void write_some(map_type::iterator which) {
    auto& client = which->second;
    const auto rest = client.text.size() - client.written;
    const auto count
      = ::send(client.socket.get(), client.text.data() + client.written, rest,
               MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (count < 0 || static_cast<std::size_t>(count) == rest)
      return void(connections_.erase(which));
    client.written += static_cast<std::size_t>(count);
  }

  void begin_reply(map_type::iterator which, std::string reply) {
    auto& [id, client] = *which;
    client.text = std::move(reply);
    client.text += '\n';
    client.now = phase::writing;
    client.deadline = clock::now() + limits_.patience;
    control(EPOLL_CTL_MOD, client.socket.get(), id, EPOLLOUT);
    // At once, so that a reply given just before the process ends still goes.
    write_some(which);
  }

  void expire() {
    std::uint64_t expirations;
    (void)!::read(timer_.get(), &expirations, sizeof(expirations));
    const auto now = clock::now();
    std::erase_if(connections_, [now](const auto& entry) {
      return entry.second.deadline <= now;
    });
    if (accept_again_ <= now
        && control(EPOLL_CTL_ADD, listener_->get(), listener_id, EPOLLIN))
      accept_again_ = clock::time_point::max();
  }

  /// Sets the timer to the first deadline, or stops it: idle costs nothing.
  void arm() {
    auto first = accept_again_;
    for (const auto& [id, client] : connections_)
      first = std::min(first, client.deadline);
    itimerspec setting{};
    if (first != clock::time_point::max()) {
      const auto since_boot
        = std::chrono::nanoseconds{first.time_since_epoch()}.count();
      setting.it_value.tv_sec = since_boot / 1'000'000'000;
      setting.it_value.tv_nsec = since_boot % 1'000'000'000;
    }
    ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &setting, nullptr);
  }

  responder make_responder(connection_id id) {
    auto answer = std::make_shared<pending_answer>(weak_from_this(), id);
    return [answer](std::string text) { answer->give(std::move(text)); };
  }

  xenio::event_loop& loop_;
  /// Empty once stopped.
  std::optional<unix_listener> listener_;
  handler on_request_;
  control_limits limits_;
  descriptor epoll_;
  descriptor timer_;
  map_type connections_;
  connection_id next_id_ = first_client_id;
  /// When to accept again after the process ran out of descriptors.
  clock::time_point accept_again_ = clock::time_point::max();
};

void control_socket::pending_answer::give(std::string text) {
  if (auto owner = std::exchange(owner_, {}).lock())
    owner->reply(id_, std::move(text));
}

result<std::unique_ptr<control_socket>> control_socket::listen(
  xenio::event_loop& loop, const std::string& path, handler on_request,
  control_limits limits) {
  auto listener = unix_listener::open(path, S_IRUSR | S_IWUSR);
  if (!listener)
    return listener.error();
  auto state = std::make_shared<impl>(loop, std::move(*listener),
                                      std::move(on_request), limits);
  const auto started = state->start();
  if (!started)
    return started.error();
  return std::unique_ptr<control_socket>{new control_socket{std::move(state)}};
}

control_socket::control_socket(std::shared_ptr<impl> state) noexcept
  : impl_(std::move(state)) {
  // nop
}

control_socket::~control_socket() {
  impl_->stop();
}

std::size_t control_socket::connections() const noexcept {
  return impl_->size();
}

} // namespace vtpm::deploy
