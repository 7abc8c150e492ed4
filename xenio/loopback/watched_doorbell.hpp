#pragma once

#include <functional>
#include <memory>

#include "xenio/event_loop.hpp"
#include "xenio/descriptor.hpp"

namespace vtpm::xenio::loopback {

/// A frontend's doorbell that the event loop looks at, bound or not. Never left
/// unread: rings can carry descriptors, and one that lies there could be what
/// keeps the frontend's own connection open after its end.
class watched_doorbell {
public:
  /// Starts watching.
  /// @param loop Outlives the doorbell.
  static std::shared_ptr<watched_doorbell> make(event_loop& loop,
                                                descriptor socket);

  watched_doorbell(const watched_doorbell&) = delete;
  watched_doorbell& operator=(const watched_doorbell&) = delete;

  ~watched_doorbell();

  bool is_bound() const noexcept {
    return on_event_ != nullptr;
  }

  /// From now on each look that finds rings calls `on_event`, once.
  void bind(std::function<void()> on_event);

  /// `on_event` is not called again.
  void unbind() noexcept;

  /// Rings the other end.
  void notify() noexcept;

private:
  watched_doorbell(event_loop& loop, descriptor socket)
    : loop_(loop), socket_(std::move(socket)) {
    // nop
  }

  void on_readable();

  event_loop& loop_;
  descriptor socket_;
  bool is_watched_ = true;
  /// Looks so far, and whether the last one found a crowd of rings.
  unsigned looks_ = 0;
  bool is_crowded_ = false;
  /// Shared, because a callback may unbind itself.
  std::shared_ptr<const std::function<void()>> on_event_;
};

} // namespace vtpm::xenio::loopback
