#pragma once

#include <functional>
#include <map>
#include <memory>

#include "xenio/event_channels.hpp"
#include "xenio/event_loop.hpp"
#include "xenio/xen/event_device.hpp"

namespace vtpm::xenio::xen {

/// All event channels behind one descriptor of the event loop.
class port_channels final : public event_channels {
public:
  /// @param loop Outlives this.
  port_channels(event_loop& loop, std::unique_ptr<event_device> device);

  port_channels(const port_channels&) = delete;
  port_channels& operator=(const port_channels&) = delete;

  ~port_channels() override;

  result<port> bind(domid remote, port remote_port,
                    std::function<void()> on_event) override;

  void unbind(port local) override;

  void notify(port local) noexcept override;

private:
  void on_readable();

  event_loop& loop_;
  std::unique_ptr<event_device> device_;
  bool is_watched_ = true;
  /// Shared, because a callback may unbind itself.
  std::map<port, std::shared_ptr<const std::function<void()>>> bound_;
};

} // namespace vtpm::xenio::xen
