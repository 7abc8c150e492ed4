#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "protocol/bytes.hpp"
#include "tpm/libtpms_engine.hpp"
#include "tpm/shadow.hpp"
#include "tpm/state_store.hpp"

namespace vtpm::deploy {

/// A TPM that is on.
struct running_tpm {
  std::unique_ptr<tpm::engine> engine;
  /// Of the state that it was switched on with.
  tpm::generation gen = 0;
  /// The state, unless it is stored as it is: committed before any response.
  tpm::snapshot_ptr changed;
  /// What a successor goes on from; null if there will be nothing.
  std::shared_ptr<tpm::shadow> shadow;
  /// What the platform is remembered by; empty after a TPM reset.
  byte_vector platform;
};

/// How to switch a TPM on.
struct power_switch {
  /// Switches on one that was off, with its startup.
  std::function<tpm::result<tpm::powered_engine>(tpm::snapshot_ptr)> power_on;
  /// Goes on with the state and the volatile state of one instant.
  std::function<tpm::result<tpm::powered_engine>(tpm::snapshot_ptr, byte_view)>
    resume;
  /// This boot's name.
  tpm::boot_id boot;
  /// Where to look for a shadow, and to keep one: best first.
  std::vector<std::string> shadow_paths;
  /// Else none is gone on from, and none is left.
  bool has_shadow;
};

/// Switches the TPM on. Goes on where the last vtpmd left it if that left a
/// shadow of this boot that is no older than what is stored. Else that is a TPM
/// reset, and the state gets a new shadow key: no shadow from before is ever
/// gone on from, wherever it may turn up.
/// @param stored What the store holds.
tpm::result<running_tpm> power_on(const power_switch& how,
                                  tpm::state_store& store,
                                  tpm::snapshot_ptr stored);

} // namespace vtpm::deploy
