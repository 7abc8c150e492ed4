#include "xenio/loopback/frontend.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <thread>
#include <utility>

#include <sys/socket.h>
#include <sys/time.h>

#include "xenio/guest_side.hpp"
#include "xenio/loopback/doorbell.hpp"
#include "xenio/loopback/raw_frontend.hpp"
#include "xenio/ring_frontend.hpp"

namespace vtpm::xenio::loopback {

namespace {

using milliseconds = std::chrono::milliseconds;

/// While waiting on the doorbell: how often to look at everything else. Not on
/// the way of a response, which rings; nor of a crash, which closes the bell.
constexpr auto tick = milliseconds{100};

/// How long to wait for the backend to let go of our page in the end.
constexpr auto farewell = milliseconds{500};

/// Between two attempts to connect: from and to.
constexpr auto pause_min = milliseconds{5};
constexpr auto pause_max = milliseconds{200};

/// What `recv` on the doorbell says.
enum class wake { rang, nothing, hung_up };

class loopback_frontend final : public ring_frontend {
public:
  loopback_frontend(std::string socket_path, identity who,
                    std::unique_ptr<guest_page> page)
    : socket_path_(std::move(socket_path)),
      who_(std::move(who)),
      page_(std::move(page)) {
    // nop
  }

  ~loopback_frontend() override;

  /// Makes one attempt to get both sides Connected.
  result<unit> attach(milliseconds limit);

  /// Attempts again while vtpmd is still closing our predecessor and, when
  /// `restarting`, while it is not there at all.
  result<unit> attach_until(clock::time_point deadline, bool restarting);

  int descriptor() const noexcept override {
    return bell_.get();
  }

  result<std::optional<completion>> poll() override;

protected:
  shared_page& page() const noexcept override {
    return *page_;
  }

  bool ring_doorbell() noexcept override {
    return ring(bell_.get());
  }

  result<unit> await_free_page(clock::time_point deadline) override;

private:
  wake listen() noexcept;
  void set_tick(milliseconds value) noexcept;
  bool lost_touch();

  std::string socket_path_;
  identity who_;
  std::unique_ptr<guest_page> page_;
  std::optional<raw_frontend> connection_;
  xenio::descriptor bell_;
  milliseconds current_tick_{0};
};

loopback_frontend::~loopback_frontend() {
  // As a guest's driver does; if vtpmd does not follow, the end of the
  // connection says the same.
  if (connection_ && connection_->write_state(xenbus_state::closing)
      && connection_->write_state(xenbus_state::closed))
    (void)connection_->await({xenbus_state::closed, xenbus_state::init_wait},
                             farewell);
}

// -- connecting ---------------------------------------------------------------

result<unit> loopback_frontend::attach(milliseconds limit) {
  const auto deadline = clock::now() + limit;
  connection_.reset();
  auto bell = make_doorbell();
  if (!bell)
    return bell.error();
  auto opened = raw_frontend::open(socket_path_);
  if (!opened)
    return opened.error();
  auto& link = connection_.emplace(*std::move(opened));
  if (auto claimed = link.claim(who_, left_until(deadline)); !claimed)
    return claimed;
  if (auto published = link.publish(page_->file(), bell->far_end.get());
      !published)
    return published;
  // Ours to close, or the end of vtpmd would not be the end of the bell.
  bell->far_end.reset();
  if (auto ready = link.await({xenbus_state::connected, xenbus_state::closed},
                              left_until(deadline));
      !ready)
    return ready;
  if (link.backend_state() == xenbus_state::closed)
    return error{errc::refused, "the backend refuses the connection"};
  if (!link.backend_speaks_v2())
    return error{errc::protocol, "the backend does not speak tpmif version 2"};
  bell_ = std::move(bell->near_end);
  current_tick_ = milliseconds{0};
  return link.write_state(xenbus_state::connected);
}

result<unit> loopback_frontend::attach_until(clock::time_point deadline,
                                             bool restarting) {
  auto pause = pause_min;
  for (;;) {
    auto attached = attach(left_until(deadline));
    if (attached)
      return attached;
    const auto& said = connection_ ? connection_->refusal() : std::nullopt;
    const auto code = said ? std::optional{said->code} : std::nullopt;
    const auto is_final = code && *code != wire::refusal_code::closing
      && (!restarting || *code == wire::refusal_code::denied
          || *code == wire::refusal_code::malformed);
    const auto is_first_failure = !code && !restarting;
    if (is_final || is_first_failure || left_until(deadline) <= pause)
      return attached;
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, pause_max);
  }
}

// -- the doorbell -------------------------------------------------------------

void loopback_frontend::set_tick(milliseconds value) noexcept {
  if (value == current_tick_)
    return;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(value);
  const timeval time
    = {seconds.count(), std::chrono::microseconds{value - seconds}.count()};
  ::setsockopt(bell_.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
  current_tick_ = value;
}

wake loopback_frontend::listen() noexcept {
  std::uint8_t octet;
  const auto size = ::recv(bell_.get(), &octet, sizeof(octet), 0);
  if (size > 0)
    return wake::rang;
  if (size < 0 && (errno == EAGAIN || errno == EINTR))
    return wake::nothing;
  return wake::hung_up;
}

bool loopback_frontend::lost_touch() {
  // A backend that waits for a connection has forgotten ours.
  return !connection_ || !connection_->update()
    || connection_->backend_state() == xenbus_state::init_wait;
}

// -- requests -----------------------------------------------------------------

result<unit> loopback_frontend::await_free_page(clock::time_point deadline) {
  while (!is_free(*page_)) {
    const auto left = left_until(deadline);
    if (left.count() == 0)
      return error{errc::timed_out, "no response in time"};
    set_tick(std::min(tick, left));
    const auto heard = listen();
    if (heard == wake::rang)
      continue;
    if (heard == wake::hung_up || lost_touch()) {
      auto attached = attach_until(deadline, true);
      if (!attached)
        return attached;
    }
  }
  return unit{};
}

result<std::optional<frontend::completion>> loopback_frontend::poll() {
  const auto found = drain(bell_.get());
  auto state = look();
  if (state && !*state && found.closed)
    return error{errc::gone, "vtpmd is gone; the request stays in the page"};
  return state;
}

} // namespace

result<std::unique_ptr<frontend>> connect(const std::string& socket_path,
                                          const identity& who,
                                          milliseconds limit) {
  auto page = guest_page::make();
  if (!page)
    return page.error();
  auto made
    = std::make_unique<loopback_frontend>(socket_path, who, *std::move(page));
  auto attached
    = made->attach_until(std::chrono::steady_clock::now() + limit, false);
  if (!attached)
    return attached.error();
  return std::unique_ptr<frontend>{std::move(made)};
}

} // namespace vtpm::xenio::loopback
