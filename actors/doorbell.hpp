#pragma once

#include "xenio/event_channels.hpp"

namespace vtpm::actors {

/// One bound event channel, unbound when this goes.
class doorbell {
public:
  doorbell(xenio::event_channels& events, xenio::port local) noexcept
    : events_(events), local_(local) {
    // nop
  }

  doorbell(const doorbell&) = delete;
  doorbell& operator=(const doorbell&) = delete;

  ~doorbell() {
    events_.unbind(local_);
  }

  /// Tells the other side to look at the page. Never blocks.
  void ring() noexcept {
    events_.notify(local_);
  }

private:
  xenio::event_channels& events_;
  xenio::port local_;
};

} // namespace vtpm::actors
