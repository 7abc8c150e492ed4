#pragma once

#include <string>

#include "tpm/errc.hpp"

namespace vtpm::deploy {

/// What vtpmd exits with, beside `exit_code`'s; see vtpmd(8).
namespace daemon_exit {

/// The state is locked by another vtpmd.
inline constexpr int locked = 10;
/// There is no state at the place named.
inline constexpr int no_state = 11;
/// There is something at the place named, and it is no vTPM state.
inline constexpr int not_a_state = 12;
/// The key does not open the state.
inline constexpr int wrong_key = 13;
/// The state is older than what was acknowledged.
inline constexpr int rollback = 14;
/// The state is damaged.
inline constexpr int damage = 15;
/// The state belongs to a TPM of the other version.
inline constexpr int other_version = 16;
/// The TPM engine refused the state.
inline constexpr int engine = 17;
/// The state or the key file is there and cannot be used as it is: its size,
/// owner or permissions.
inline constexpr int unusable = 18;
/// The operating system does not let vtpmd read or write the state or the key.
inline constexpr int unreadable = 19;
/// Drained because the toolstack ordered the domain to power off, reboot or
/// halt: whoever started vtpmd does so.
inline constexpr int poweroff = 20;
inline constexpr int reboot = 21;
inline constexpr int halt = 22;
/// Ended in order to be started again.
inline constexpr int restart = 23;

} // namespace daemon_exit

/// Returns what vtpmd exits with when its state fails it like this.
int exit_code_for(tpm::errc code) noexcept;

/// Why vtpmd did not start.
struct start_problem {
  int exit_code;
  std::string text;
};

} // namespace vtpm::deploy
