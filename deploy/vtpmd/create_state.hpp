#pragma once

#include <optional>
#include <string>

#include "protocol/version.hpp"
#include "tpm/committer.hpp"
#include "tpm/errc.hpp"
#include "tpm/libtpms_engine.hpp"
#include "tpm/state_store.hpp"

namespace vtpm::deploy {

/// A TPM to be made.
struct create_options {
  /// A new file, or a block device whose slots are empty.
  std::string state_path;
  /// A new file.
  std::string key_path;
  tpm_version version;
  /// Empty: a random one.
  std::optional<tpm::uuid> id;
  tpm::manufacture_options factory;
  tpm::committer_kind committer = tpm::committer_kind::automatic;
};

/// Manufactures a TPM and stores it; on return it is durable. Blocks, for about
/// a second with 1.2. Never touches what exists: `errc::exists`. On failure the
/// files it made are gone again.
/// @pre No other TPM is powered on in this process.
tpm::result<tpm::uuid> create_state(const create_options& wanted);

} // namespace vtpm::deploy
