#pragma once

#include <memory>

#include "deploy/result.hpp"
#include "deploy/vtpmd/options.hpp"

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

} // namespace daemon_exit

/// Why vtpmd did not start.
struct start_problem {
  int exit_code;
  std::string text;
};

/// One vTPM domain: a TPM, its state, and all that serves it, running.
class domain {
public:
  /// Opens the state (or creates it, if so told), powers the TPM on, starts the
  /// actors and listens. Frontends are served when this returns.
  static basic_result<std::unique_ptr<domain>, start_problem> start(
    const options& given);

  ~domain();

  /// Waits until a signal or the operator has ended the domain, and everything
  /// acknowledged is on stable storage. Returns the exit code.
  int wait();

private:
  struct impl;
  explicit domain(std::unique_ptr<impl> state) noexcept;
  std::unique_ptr<impl> impl_;
};

} // namespace vtpm::deploy
