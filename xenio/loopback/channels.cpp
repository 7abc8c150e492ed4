#include "xenio/loopback/channels.hpp"

#include <algorithm>
#include <utility>

#include "xenio/loopback/doorbell.hpp"

namespace vtpm::xenio::loopback {

result<std::unique_ptr<shared_page>> page_grants::map(domid remote,
                                                      grant_ref ref) {
  auto mapping = offered_.page(remote, ref);
  if (!mapping)
    return mapping.error();
  return std::unique_ptr<shared_page>{
    std::make_unique<mapped_page>(*std::move(mapping))};
}

doorbell_channels::~doorbell_channels() {
  for (const auto& [local, bound] : bindings_)
    if (bound.is_watched)
      loop_.unwatch(bound.socket->get());
}

result<port> doorbell_channels::bind(domid remote, port remote_port,
                                     std::function<void()> on_event) {
  auto socket = offered_.doorbell(remote, remote_port);
  if (!socket)
    return socket.error();
  const auto same_socket
    = [&socket](const auto& item) { return item.second.socket == *socket; };
  if (std::any_of(bindings_.begin(), bindings_.end(), same_socket))
    return error{errc::bad_channel, "the doorbell is bound already"};
  while (next_port_ == 0 || bindings_.contains(next_port_))
    ++next_port_;
  const auto local = next_port_++;
  const auto fd = (*socket)->get();
  bindings_.emplace(
    local,
    binding{*std::move(socket),
            std::make_shared<const std::function<void()>>(std::move(on_event)),
            true});
  loop_.watch(fd, [this, local] { on_readable(local); });
  return local;
}

void doorbell_channels::unbind(port local) {
  auto bound = bindings_.find(local);
  if (bound == bindings_.end())
    return;
  if (bound->second.is_watched)
    loop_.unwatch(bound->second.socket->get());
  bindings_.erase(bound);
}

void doorbell_channels::notify(port local) noexcept {
  auto bound = bindings_.find(local);
  if (bound != bindings_.end())
    ring(bound->second.socket->get());
}

void doorbell_channels::on_readable(port local) {
  auto bound = bindings_.find(local);
  if (bound == bindings_.end())
    return;
  const auto found = drain(bound->second.socket->get());
  if (found.closed) {
    // It would be readable for ever.
    loop_.unwatch(bound->second.socket->get());
    bound->second.is_watched = false;
  }
  if (found.count == 0)
    return;
  const auto on_event = bound->second.on_event;
  (*on_event)();
}

} // namespace vtpm::xenio::loopback
