#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "protocol/bytes.hpp"
#include "xenio/errc.hpp"
#include "xenio/types.hpp"

namespace vtpm::xenio {

/// The guest's side of a ring, in user space: owns the page, publishes it, and
/// speaks the frontend's half of tpmif. Used by one thread at a time.
class frontend {
public:
  virtual ~frontend() = default;

  /// Submits one request and waits for its response. Reconnects, with the same
  /// page, when vtpmd was restarted meanwhile, and goes on waiting.
  /// `errc::cancelled` when the backend gives the request back unanswered.
  /// @param limit How long to wait; on expiry the request is cancelled and
  ///              `errc::timed_out` returned.
  virtual result<byte_vector> transact(std::uint8_t locality, byte_view request,
                                       std::chrono::milliseconds limit)
    = 0;

  /// Puts one request into the page and rings the doorbell. `errc::protocol`
  /// when one is under way or it does not fit; `errc::gone` when nobody hears
  /// the doorbell, the request then waits in the page.
  virtual result<unit> submit(std::uint8_t locality, byte_view request) = 0;

  /// Writes CANCEL and rings the doorbell.
  virtual void cancel() noexcept = 0;

  /// Becomes readable when the backend rings or is gone. Another one after
  /// `transact` has reconnected.
  virtual int descriptor() const noexcept = 0;

  /// What became of the submitted request.
  struct completion {
    /// `false`: the backend answered IDLE, there is no response.
    bool finished;
    byte_vector response;
  };

  /// Clears the doorbell and returns the completion if there is one.
  /// `errc::gone` when there is none and nobody is left to make one: `transact`
  /// reconnects.
  virtual result<std::optional<completion>> poll() = 0;
};

} // namespace vtpm::xenio
