#include "xenio/xen/port_channels.hpp"

#include <utility>

#include "protocol/log.hpp"

namespace vtpm::xenio::xen {

port_channels::port_channels(event_loop& loop,
                             std::unique_ptr<event_device> device)
  : loop_(loop), device_(std::move(device)) {
  loop_.watch(device_->descriptor(), [this] { on_readable(); });
}

port_channels::~port_channels() {
  if (is_watched_)
    loop_.unwatch(device_->descriptor());
}

result<port> port_channels::bind(domid remote, port remote_port,
                                 std::function<void()> on_event) {
  auto local = device_->bind_interdomain(remote, remote_port);
  if (local)
    bound_[*local]
      = std::make_shared<const std::function<void()>>(std::move(on_event));
  return local;
}

void port_channels::unbind(port local) {
  if (bound_.erase(local) > 0)
    device_->unbind(local);
}

void port_channels::notify(port local) noexcept {
  device_->notify(local);
}

void port_channels::on_readable() {
  // One event per look: the next might block, and a guest that never stops
  // ringing shall not keep the loop from others. The kernel gives ports their
  // turn in the order in which they rang.
  const auto local = device_->take();
  if (!local) {
    log().critical("event channels: {}: no frontend is heard any more; "
                   "restart vtpmd",
                   local.error().detail);
    loop_.unwatch(device_->descriptor());
    is_watched_ = false;
    return;
  }
  // An event may have been on its way when its port was unbound.
  const auto entry = bound_.find(*local);
  if (entry == bound_.end())
    return;
  const auto on_event = entry->second;
  // Before the look that the event asks for, so that what comes after that look
  // is a new event.
  device_->unmask(*local);
  (*on_event)();
}

} // namespace vtpm::xenio::xen
