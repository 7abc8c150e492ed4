#pragma once

#include <algorithm>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include <sys/eventfd.h>

#include <doctest/doctest.h>

#include "xenio/descriptor.hpp"
#include "xenio/xen/event_device.hpp"

namespace vtpm::tests {

/// An event channel driver that a test plays. As Linux' does, it queues each
/// port at most once until it is unmasked, remembers a ring meanwhile, and may
/// still hand out a port that was unbound.
class scripted_device final : public xenio::xen::event_device {
public:
  int descriptor() const noexcept override {
    return bell_.get();
  }

  xenio::result<xenio::port> bind_interdomain(
    xenio::domid, xenio::port remote_port) override {
    if (remote_port == 0)
      return xenio::error{xenio::errc::bad_channel, "no such port"};
    const auto local = next_port_++;
    bound.insert(local);
    return local;
  }

  xenio::result<xenio::port> bind_unbound(xenio::domid) override {
    return bind_interdomain(0, 1);
  }

  void unbind(xenio::port local) noexcept override {
    bound.erase(local);
    masked_.erase(local);
    again_.erase(local);
  }

  void notify(xenio::port local) noexcept override {
    notified.push_back(local);
  }

  xenio::result<xenio::port> take() override {
    if (is_broken)
      return xenio::error{xenio::errc::io, "broken"};
    // Else it would block.
    REQUIRE_FALSE(queue_.empty());
    const auto local = queue_.front();
    queue_.pop_front();
    if (queue_.empty()) {
      eventfd_t ignored;
      ::eventfd_read(bell_.get(), &ignored);
    }
    return local;
  }

  void unmask(xenio::port local) noexcept override {
    masked_.erase(local);
    if (again_.erase(local) > 0)
      ring(local);
  }

  /// The other side rings.
  void ring(xenio::port local) {
    if (!masked_.insert(local).second) {
      again_.insert(local);
      return;
    }
    queue_.push_back(local);
    ::eventfd_write(bell_.get(), 1);
  }

  std::set<xenio::port> bound;
  std::vector<xenio::port> notified;
  bool is_broken = false;

private:
  xenio::descriptor bell_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::deque<xenio::port> queue_;
  std::set<xenio::port> masked_;
  std::set<xenio::port> again_;
  xenio::port next_port_ = 10;
};

} // namespace vtpm::tests
