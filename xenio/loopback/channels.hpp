#pragma once

#include <map>
#include <memory>

#include "xenio/event_channels.hpp"
#include "xenio/grant_mapper.hpp"
#include "xenio/loopback/offers.hpp"

namespace vtpm::xenio::loopback {

/// Grant references are numbers of pages offered over the hub's socket.
class page_grants final : public grant_mapper {
public:
  explicit page_grants(const offers& offered) : offered_(offered) {
    // nop
  }

  result<std::unique_ptr<shared_page>> map(domid remote,
                                           grant_ref ref) override;

private:
  const offers& offered_;
};

/// Event channels are doorbells offered over the hub's socket. Each one is a
/// descriptor of the event loop of its own: a ring costs one wake-up and one
/// call.
class doorbell_channels final : public event_channels {
public:
  explicit doorbell_channels(const offers& offered) : offered_(offered) {
    // nop
  }

  result<port> bind(domid remote, port remote_port,
                    std::function<void()> on_event) override;

  void unbind(port local) override;

  void notify(port local) noexcept override;

private:
  const offers& offered_;
  std::map<port, offers::doorbell_ptr> bound_;
  port next_port_ = 1;
};

} // namespace vtpm::xenio::loopback
