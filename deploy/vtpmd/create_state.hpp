#pragma once

#include <optional>
#include <string>

#include "protocol/version.hpp"
#include "tpm/committer.hpp"
#include "tpm/errc.hpp"
#include "tpm/libtpms_engine.hpp"
#include "tpm/state_store.hpp"

namespace vtpm::deploy {

/// Where a new state goes.
struct state_place {
  /// A new file, or a block device whose slots are empty.
  std::string state_path;
  /// A new file.
  std::string key_path;
};

/// Stores `state` as generation `gen` of a vTPM; on return it is durable.
/// Blocks. Never touches what exists: `errc::exists`. On failure the files it
/// made are gone again. Returns the key of the state's shadow.
tpm::result<tpm::secret_bytes> store_new_state(const state_place& place,
                                               tpm_version version,
                                               const tpm::uuid& id,
                                               tpm::generation gen,
                                               const tpm::snapshot& state,
                                               tpm::committer_kind committer);

/// A TPM to be made.
struct create_options {
  state_place place;
  tpm_version version;
  /// Empty: a random one.
  std::optional<tpm::uuid> id;
  tpm::manufacture_options factory;
  tpm::committer_kind committer = tpm::committer_kind::automatic;
};

/// Manufactures a TPM and stores it. Blocks, for about a second with 1.2.
/// @pre No other TPM is powered on in this process.
tpm::result<tpm::uuid> create_state(const create_options& wanted);

} // namespace vtpm::deploy
