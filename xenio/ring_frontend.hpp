#pragma once

#include <chrono>
#include <optional>

#include "xenio/frontend.hpp"
#include "xenio/shared_page.hpp"

namespace vtpm::xenio {

/// What frontends have in common whatever their page and doorbell are made of:
/// one request at a time goes through the page.
class ring_frontend : public frontend {
public:
  result<byte_vector> transact(std::uint8_t locality, byte_view request,
                               std::chrono::milliseconds limit) final;

  result<unit> submit(std::uint8_t locality, byte_view request) final;

  void cancel() noexcept final;

protected:
  using clock = std::chrono::steady_clock;

  /// Returns how long it is until then; not less than nothing.
  static std::chrono::milliseconds left_until(clock::time_point deadline);

  virtual shared_page& page() const noexcept = 0;

  /// Rings the backend's doorbell. Returns `false` when nobody hears it.
  virtual bool ring_doorbell() noexcept = 0;

  /// Waits until the page is the frontend's; reconnects when the backend was
  /// restarted meanwhile. `errc::timed_out` when it does not become so in time.
  virtual result<unit> await_free_page(clock::time_point deadline) = 0;

  /// Returns what became of the request, if it has ended.
  result<std::optional<completion>> look() const;
};

} // namespace vtpm::xenio
