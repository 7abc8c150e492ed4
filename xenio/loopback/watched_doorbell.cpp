#include "xenio/loopback/watched_doorbell.hpp"

#include <utility>

#include <sys/socket.h>

#include "xenio/loopback/doorbell.hpp"

namespace vtpm::xenio::loopback {

namespace {

/// Usually there is one ring, and asking for more costs a call each time; so
/// that is done now and then, and while it finds more.
constexpr unsigned looks_per_probe = 8;

} // namespace

std::shared_ptr<watched_doorbell> watched_doorbell::make(event_loop& loop,
                                                         descriptor socket) {
  const auto fd = socket.get();
  std::shared_ptr<watched_doorbell> made{
    new watched_doorbell{loop, std::move(socket)}};
  // The callback may drop the last owner while it runs.
  loop.watch(fd, [weak = std::weak_ptr{made}] {
    if (const auto self = weak.lock())
      self->on_readable();
  });
  return made;
}

watched_doorbell::~watched_doorbell() {
  if (is_watched_)
    loop_.unwatch(socket_.get());
}

void watched_doorbell::bind(std::function<void()> on_event) {
  on_event_
    = std::make_shared<const std::function<void()>>(std::move(on_event));
}

void watched_doorbell::unbind() noexcept {
  on_event_.reset();
}

void watched_doorbell::notify() noexcept {
  ring(socket_.get());
}

void watched_doorbell::on_readable() {
  const auto is_probe = is_crowded_ || ++looks_ % looks_per_probe == 0;
  const auto found = drain(socket_.get(), is_probe ? rings_max : 1);
  is_crowded_ = found.count > 1;
  if (found.closed) {
    // It would be readable for ever. The peer can say "closed" and go on, so
    // make it true, and then take out what came before that.
    loop_.unwatch(socket_.get());
    is_watched_ = false;
    ::shutdown(socket_.get(), SHUT_RDWR);
    while (drain(socket_.get()).count > 0)
      continue;
  }
  const auto on_event = on_event_;
  if (found.count > 0 && on_event)
    (*on_event)();
}

} // namespace vtpm::xenio::loopback
