#pragma once

#include <cstdint>
#include <string>

#include "protocol/result.hpp"

namespace vtpm::tpm {

/// What can go wrong underneath the TPM. Every value is the world's doing.
enum class errc : std::uint8_t {
  /// The operating system refused: open, read, write, lock, allocate.
  io = 1,
  /// Another process has the state open.
  locked,
  /// There is no state at the place named.
  not_found,
  /// There is already something where a new state was to be created.
  exists,
  /// Something is there, and it is not a vTPM state of a version we know.
  not_a_state,
  /// The state is whole, but this key does not open it.
  wrong_key,
  /// A slot is whole, but older than what was acknowledged.
  rollback,
  /// What was acknowledged cannot be read any more.
  damage,
  /// The state belongs to a TPM of the other version.
  other_version,
  /// The engine refused a state blob or did not start.
  engine,
  /// The snapshot does not fit into a slot.
  too_large,
  /// The state file, block device or key file cannot be used as it is: size,
  /// alignment, permissions, format.
  unusable,
  /// The hardware TPM does not answer, refuses, or is not the right one.
  hardware,
  /// The hardware TPM does not open this with its registers as they are.
  policy,
};

/// Returns the enumerator's name, for logs and test output.
const char* to_string(errc code) noexcept;

/// An error with one sentence for the operator: what failed, where, and what to
/// do about it. No secrets.
struct error {
  errc code;
  std::string detail;
};

template <class T>
using result = basic_result<T, error>;

/// Returns an `errc::io` error that says `what` failed and why, from `errno`
/// value `os_error`.
error io_error(std::string what, int os_error);

} // namespace vtpm::tpm
