#include "xenio/loopback/channels.hpp"

#include <utility>

namespace vtpm::xenio::loopback {

result<std::unique_ptr<shared_page>> page_grants::map(domid remote,
                                                      grant_ref ref) {
  auto mapping = offered_.page(remote, ref);
  if (!mapping)
    return mapping.error();
  return std::unique_ptr<shared_page>{
    std::make_unique<mapped_page>(*std::move(mapping))};
}

result<port> doorbell_channels::bind(domid remote, port remote_port,
                                     std::function<void()> on_event) {
  auto doorbell = offered_.doorbell(remote, remote_port);
  if (!doorbell)
    return doorbell.error();
  if ((*doorbell)->is_bound())
    return error{errc::bad_channel, "the doorbell is bound already"};
  while (next_port_ == 0 || bound_.contains(next_port_))
    ++next_port_;
  const auto local = next_port_++;
  (*doorbell)->bind(std::move(on_event));
  bound_.emplace(local, *std::move(doorbell));
  return local;
}

void doorbell_channels::unbind(port local) {
  const auto entry = bound_.find(local);
  if (entry == bound_.end())
    return;
  entry->second->unbind();
  bound_.erase(entry);
}

void doorbell_channels::notify(port local) noexcept {
  const auto entry = bound_.find(local);
  if (entry != bound_.end())
    entry->second->notify();
}

} // namespace vtpm::xenio::loopback
