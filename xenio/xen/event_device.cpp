#include "xenio/xen/event_device.hpp"

#include <cerrno>
#include <string>
#include <utility>

// C, and does not say so.
extern "C" {
#include <xenevtchn.h>
}

#include "xenio/xen/driver.hpp"

namespace vtpm::xenio::xen {

namespace {

struct closer {
  void operator()(xenevtchn_handle* handle) const noexcept {
    ::xenevtchn_close(handle);
  }
};

using driver_ptr = std::unique_ptr<xenevtchn_handle, closer>;

/// Returns a port, or why there is none.
result<port> port_or_error(xenevtchn_port_or_error_t returned, errc code,
                           const std::string& what) {
  if (returned >= 0)
    return static_cast<port>(returned);
  return error{code, what + ": " + std::generic_category().message(errno)};
}

class evtchn_device final : public event_device {
public:
  explicit evtchn_device(driver_ptr driver) noexcept
    : driver_(std::move(driver)) {
    // nop
  }

  int descriptor() const noexcept override {
    return ::xenevtchn_fd(driver_.get());
  }

  result<port> bind_interdomain(domid remote, port remote_port) override {
    return port_or_error(
      ::xenevtchn_bind_interdomain(driver_.get(), remote, remote_port),
      errc::bad_channel,
      "its event channel " + std::to_string(remote_port) + " cannot be bound");
  }

  result<port> bind_unbound(domid remote) override {
    return port_or_error(
      ::xenevtchn_bind_unbound_port(driver_.get(), remote), errc::io,
      "cannot make an event channel for domain " + std::to_string(remote));
  }

  void unbind(port local) noexcept override {
    ::xenevtchn_unbind(driver_.get(), local);
  }

  void notify(port local) noexcept override {
    ::xenevtchn_notify(driver_.get(), local);
  }

  result<port> take() override {
    auto taken = ::xenevtchn_pending(driver_.get());
    while (taken < 0 && errno == EINTR)
      taken = ::xenevtchn_pending(driver_.get());
    return port_or_error(taken, errc::io, "cannot read events");
  }

  void unmask(port local) noexcept override {
    ::xenevtchn_unmask(driver_.get(), local);
  }

private:
  driver_ptr driver_;
};

} // namespace

result<std::unique_ptr<event_device>> open_event_device() {
  driver_ptr driver{::xenevtchn_open(silent_logger(), 0)};
  if (driver == nullptr)
    return driver_error("/dev/xen/evtchn", "xen-evtchn", errno);
  return std::unique_ptr<event_device>{
    std::make_unique<evtchn_device>(std::move(driver))};
}

} // namespace vtpm::xenio::xen
