#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "deploy/result.hpp"
#include "xenio/descriptor.hpp"
#include "xenio/event_loop.hpp"

namespace vtpm::deploy {

/// Blocks SIGTERM and SIGINT in this thread, and in every thread it starts from
/// now on, for `termination_signals` to read. Call before any thread exists.
void block_signals();

/// Ignores SIGPIPE: a peer that hangs up is seen as EPIPE.
void ignore_broken_pipes();

/// Ignores SIGXFSZ: a write beyond RLIMIT_FSIZE fails with EFBIG, like any
/// other that the disk refuses.
void ignore_file_size_limits();

/// Returns a descriptor that yields a signalfd_siginfo for each SIGTERM and
/// SIGINT; reading does not block.
/// @pre `block_signals` has been called.
result<xenio::descriptor> signal_source();

/// Turns SIGTERM and SIGINT into calls on the event loop.
class termination_signals {
public:
  /// @param on_signal Gets the signal's number, each time one arrives.
  /// @pre `block_signals` has been called.
  static result<std::unique_ptr<termination_signals>> watch(
    xenio::event_loop& loop, std::function<void(int)> on_signal);

  /// Stops listening; the signals stay blocked. On the loop's thread.
  ~termination_signals();

  termination_signals(const termination_signals&) = delete;
  termination_signals& operator=(const termination_signals&) = delete;

private:
  termination_signals(xenio::event_loop& loop,
                      xenio::descriptor source) noexcept
    : loop_(loop), source_(std::move(source)) {
    // nop
  }

  xenio::event_loop& loop_;
  xenio::descriptor source_;
};

} // namespace vtpm::deploy
