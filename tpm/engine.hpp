#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "protocol/bytes.hpp"
#include "protocol/version.hpp"
#include "tpm/errc.hpp"
#include "tpm/snapshot.hpp"

namespace vtpm::tpm {

/// What vtpmd does for a TPM after TPM_Init.
enum class startup : std::uint8_t {
  /// Leaves Startup to the guest.
  none,
  /// TPM_Startup(ST_CLEAR), TPM2_Startup(CLEAR).
  clear,
  /// TPM_Startup(ST_STATE), TPM2_Startup(STATE); falls back to `clear` where
  /// the TPM has no saved state.
  state,
  /// TPM_Startup(ST_DEACTIVATED); 1.2 only.
  deactivated,
};

/// What one command did.
struct execution {
  /// A whole TPM packet, never longer than `protocol::packet_size_max`.
  byte_vector response;
  /// The state that must be durable before `response` may leave; null when the
  /// command changed nothing permanent.
  snapshot_ptr changed;
};

/// One TPM. Whoever holds it - the TPM actor, or the worker it lent it to - is
/// the only one to call it, except for `cancel`.
class engine {
public:
  virtual ~engine();

  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;

  virtual tpm_version version() const noexcept = 0;

  /// Runs one command to its end.
  /// @param locality 0..4; anything above is our own bug.
  /// @param request A whole packet whose header has been checked.
  virtual execution execute(std::uint8_t locality, byte_view request) = 0;

  /// Platform reset: TPM2_Shutdown(CLEAR) unless the last command was a
  /// Shutdown (2.0; without it dictionary-attack protection counts the reset),
  /// TPM_Init, then `how`. Returns the state if that changed any.
  virtual result<snapshot_ptr> reset(startup how) = 0;

  /// TPM2_Shutdown(CLEAR) before a planned exit, unless the last command was a
  /// Shutdown; nothing on 1.2. Returns the state if that changed any.
  virtual result<snapshot_ptr> prepare_exit() = 0;

  /// Returns the newest permanent state and savestate.
  virtual snapshot_ptr current() const = 0;

  /// Returns everything a reset would lose, as the engine serialises it.
  virtual result<secret_bytes> volatile_state() const = 0;

  /// Asks a running command to end early with TPM_RC_CANCELED. Safe from any
  /// thread; no effect on 1.2 or when nothing runs, and never on a later
  /// command. May come too early, in the instant before the engine has begun,
  /// or too late: the command then runs to its end.
  virtual void cancel() noexcept = 0;

protected:
  engine() = default;
};

} // namespace vtpm::tpm
