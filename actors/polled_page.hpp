#pragma once

#include <functional>
#include <utility>

#include "actors/reactor.hpp"
#include "protocol/tpmif.hpp"
#include "xenio/shared_page.hpp"

namespace vtpm::actors {

/// Lets the reactor look at a ring's page while it would else sleep, so that a
/// request is found before its doorbell rings. On the loop's thread only.
class polled_page {
public:
  /// @param page Outlives this.
  /// @param on_submit Called once per request found; the ring then looks.
  polled_page(reactor& loop, const xenio::shared_page& page,
              std::function<void()> on_submit)
    : loop_(loop) {
    id_ = loop.watch_memory([this, &page, told = std::move(on_submit)] {
      constexpr auto submit
        = static_cast<std::uint8_t>(protocol::page_state::submit);
      if (busy_ || page.load_state() != submit)
        return false;
      busy_ = true;
      told();
      return true;
    });
  }

  polled_page(const polled_page&) = delete;
  polled_page& operator=(const polled_page&) = delete;

  ~polled_page() {
    loop_.unwatch_memory(id_);
  }

  /// Says whether the ring has a request under way, whose SUBMIT stays in the
  /// page and is nothing new.
  void set_busy(bool value) noexcept {
    busy_ = value;
  }

private:
  reactor& loop_;
  reactor::poll_id id_;
  bool busy_ = false;
};

} // namespace vtpm::actors
