#pragma once

#include <optional>
#include <string>
#include <variant>

#include "deploy/ctl/secret_source.hpp"
#include "deploy/vtpmd/create_state.hpp"

namespace vtpm::deploy {

/// A state to be exported, whether or not a vtpmd has it open.
struct state_origin {
  std::string state_path;
  std::string key_path;
};

struct export_command {
  state_origin from;
  /// A new file.
  std::string to;
  secret_source secret;
};

/// An export of `vtpmctl export`.
struct export_origin {
  std::string path;
  secret_source secret;
};

/// A state directory of swtpm, unencrypted.
struct swtpm_origin {
  std::string path;
  std::optional<tpm_version> version;
};

struct import_command {
  std::variant<export_origin, swtpm_origin> from;
  state_place to;
  /// Empty: the one in the export; a random one for a state of swtpm, which has
  /// none.
  std::optional<tpm::uuid> id;
};

/// What was exported or imported.
struct transferred {
  tpm_version version;
  tpm::uuid id;
  tpm::generation gen;
  /// Something of the origin that was left behind; or nothing.
  std::string left_behind;
};

/// Writes one TPM at one generation, which is durable, into one encrypted file,
/// 0600, that is whole or not there. Never touches what exists.
tpm::result<transferred> run_export(const export_command& wanted);

/// Makes a state of what was exported, or of swtpm's, once the engine has taken
/// it. Never touches what exists.
/// @pre No TPM is powered on in this process.
tpm::result<transferred> run_import(const import_command& wanted);

} // namespace vtpm::deploy
