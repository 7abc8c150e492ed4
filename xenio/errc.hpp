#pragma once

#include <cstdint>
#include <string>

#include "protocol/result.hpp"

namespace vtpm::xenio {

/// What the hypervisor, or what stands in for it, may refuse.
enum class errc : std::uint8_t {
  /// The frontend's page cannot be mapped: unknown grant, wrong size, not
  /// sealed, not ours to map.
  bad_grant = 1,
  /// The event channel cannot be bound.
  bad_channel,
  /// The peer is gone.
  gone,
  /// This process may not claim that frontend, or another one has it; or a node
  /// is not for us to write.
  refused,
  /// No answer in time.
  timed_out,
  /// The operating system refused.
  io,
  /// The peer broke the protocol.
  protocol,
  /// The backend gave the request back without a response.
  cancelled,
};

/// Returns the enumerator's name, for logs and test output.
const char* to_string(errc code) noexcept;

/// An error with one sentence for the operator.
struct error {
  errc code;
  std::string detail;
};

template <class T>
using result = basic_result<T, error>;

/// Returns an `errc::io` error that says `what` failed and why, from `errno`
/// value `os_error`.
error io_error(std::string what, int os_error);

} // namespace vtpm::xenio
