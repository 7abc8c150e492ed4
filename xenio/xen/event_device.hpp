#pragma once

#include <memory>

#include "xenio/errc.hpp"
#include "xenio/types.hpp"

namespace vtpm::xenio::xen {

/// One handle of the event channel driver: libxenevtchn, or what a test puts in
/// its place. Used by one thread. Its end closes every port.
class event_device {
public:
  virtual ~event_device() = default;

  /// Readable while an event is pending.
  virtual int descriptor() const noexcept = 0;

  /// Makes a local port that is connected to a port of `remote`.
  virtual result<port> bind_interdomain(domid remote, port remote_port) = 0;

  /// Makes a local port that `remote` may connect to.
  virtual result<port> bind_unbound(domid remote) = 0;

  virtual void unbind(port local) noexcept = 0;

  virtual void notify(port local) noexcept = 0;

  /// Takes one event and returns its port, which stays silent until `unmask`.
  /// Blocks while there is none, even on a descriptor that is told not to
  /// (xenevtchn.h): only for whoever has just seen `descriptor` readable, and
  /// once.
  virtual result<port> take() = 0;

  virtual void unmask(port local) noexcept = 0;
};

result<std::unique_ptr<event_device>> open_event_device();

} // namespace vtpm::xenio::xen
