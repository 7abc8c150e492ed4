#pragma once

#include <memory>
#include <string>
#include <vector>

#include "deploy/vtpmd/options.hpp"
#include "protocol/bytes.hpp"
#include "tpm/engine.hpp"
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

/// Returns where to keep and look for the shadow, best first: beside the
/// control socket, which is usually in memory, else where every Linux has
/// memory; or the one place named.
std::vector<std::string> shadow_paths(const options& given,
                                      const tpm::uuid& id);

/// Switches the TPM on. Goes on where the last vtpmd left it if that left a
/// shadow of this boot that is no older than what is stored. Else that is a TPM
/// reset, and the state gets a new shadow key: no shadow from before is ever
/// gone on from, wherever it may turn up.
/// @param stored What the store holds.
/// @param boot This boot's name.
tpm::result<running_tpm> power_on(const options& given, tpm::state_store& store,
                                  tpm::snapshot_ptr stored,
                                  tpm::startup startup,
                                  const tpm::boot_id& boot);

} // namespace vtpm::deploy
