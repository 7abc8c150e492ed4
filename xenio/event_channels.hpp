#pragma once

#include <functional>

#include "xenio/errc.hpp"
#include "xenio/types.hpp"

namespace vtpm::xenio {

/// Doorbells between us and frontends. Used from the event loop's thread only.
class event_channels {
public:
  virtual ~event_channels() = default;

  /// Binds a local port to `remote_port` of `remote`. `on_event` runs on the
  /// event loop's thread; several events may arrive as one. An event that was
  /// pending before the bind may be lost: look at the page once after it.
  virtual result<port> bind(domid remote, port remote_port,
                            std::function<void()> on_event)
    = 0;

  /// Undoes `bind`; `on_event` does not run again.
  virtual void unbind(port local) = 0;

  /// Rings the other side's doorbell. Never blocks; a peer whose doorbell is
  /// full has something to look at already.
  virtual void notify(port local) noexcept = 0;
};

} // namespace vtpm::xenio
