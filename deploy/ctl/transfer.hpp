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

/// Where the vtpmd of a state has its shadow, or is to find one.
struct shadow_origin {
  /// Of that vtpmd.
  std::string control_path;
  /// What it is given as `--shadow`; empty: it looks beside its control socket.
  std::string shadow_path;
};

struct export_command {
  state_origin from;
  /// Have what a reset would lose in it, too: PCRs, sessions, loaded objects.
  bool with_volatile = false;
  shadow_origin shadow;
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
  /// Where volatile state goes, if the export has any.
  shadow_origin shadow;
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

/// Writes one TPM at one generation into one encrypted file, 0600, that is
/// whole or not there. That generation is durable; with volatile state it is
/// the one that a vtpmd killed now would go on from, which may be about to be.
/// Never touches what exists.
tpm::result<transferred> run_export(const export_command& wanted);

/// Makes a state of what was exported, or of swtpm's, once the engine has taken
/// it. Volatile state becomes a shadow, for the vtpmd that is started next
/// before the machine is. Never touches what exists.
/// @pre No TPM is powered on in this process.
tpm::result<transferred> run_import(const import_command& wanted);

} // namespace vtpm::deploy
