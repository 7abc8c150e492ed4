#pragma once

#include <cstdint>
#include <memory>

#include "tpm/crypto/secret.hpp"

namespace vtpm::tpm {

/// Number of state changes since the TPM was created. A commit writes the
/// newest state, so the generations on disk grow with gaps.
using generation = std::uint64_t;

/// What a TPM keeps through a power cycle, at one instant.
struct snapshot {
  /// The engine's permanent state; empty only before manufacture.
  secret_bytes permanent;
  /// What TPM_SaveState left for the next start; empty when there is none.
  secret_bytes savestate;
};

/// Snapshots are shared between the engine, the commit under way and the shadow
/// and never change once made.
using snapshot_ptr = std::shared_ptr<const snapshot>;

} // namespace vtpm::tpm
