#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "actors/locality_policy.hpp"
#include "actors/platform.hpp"
#include "deploy/result.hpp"
#include "protocol/version.hpp"
#include "tpm/committer.hpp"
#include "tpm/engine.hpp"
#include "tpm/libtpms_engine.hpp"
#include "tpm/state_store.hpp"
#include "xenio/loopback/hub.hpp"

namespace vtpm::deploy {

/// Where vtpmctl looks for vtpmd unless told otherwise.
inline constexpr auto default_control_path = "/run/vtpmd/control";

/// What `options::shadow` may be beside a path.
inline constexpr auto shadow_on = "on";
inline constexpr auto shadow_off = "off";

/// Everything vtpmd can be told, checked and typed; see vtpmd(8).
struct options {
  std::string state_path;
  /// STATE.key unless given.
  std::string key_path;
  /// Always set with `create`; else empty takes what the state says.
  std::optional<tpm_version> version;
  bool create = false;
  /// Of a TPM to be created; empty: a random one.
  std::optional<tpm::uuid> id;
  /// Of a TPM to be created.
  std::vector<std::string> pcr_banks = {"sha1", "sha256"};
  /// 1.2: at manufacture and at every power-on.
  bool physical_presence = false;
  /// Frontends are Xen's; else they are processes that connect to
  /// `listen_path`.
  bool xen = false;
  std::string listen_path;
  std::string control_path = default_control_path;
  std::vector<actors::locality_rule> localities;
  std::vector<xenio::loopback::claim_rule> claims;
  /// Empty: the frontend with the only uuid there ever was.
  std::optional<actors::primary_rule> primary;
  /// Empty: see `startup_for`.
  std::optional<tpm::startup> startup;
  /// How many RSA keys are kept ready; zero: none.
  std::size_t key_pool = 4;
  /// On, off or where to keep the shadow.
  std::string shadow = shadow_on;
  tpm::committer_kind committer = tpm::committer_kind::automatic;
  /// How long rings are polled after a command; zero: not at all.
  std::chrono::microseconds poll{0};
  bool accept_older = false;
  /// How long after the last frontend went vtpmd ends; empty: never.
  std::optional<std::chrono::seconds> exit_when_unused;
  /// One of "error", "warn", "info", "debug".
  std::string log_level = "info";
  /// How long a commit may keep failing before the TPM fails stop.
  std::chrono::seconds commit_retry_limit{30};
};

/// Reads the command line and the file that `--config` names; the command line
/// wins. Touches nothing else.
std::variant<options, early_exit> parse_options(int argc,
                                                const char* const* argv);

/// Returns what vtpmd does for its TPM after TPM_Init. Default: nothing for
/// 1.2, where the guest's firmware or driver sends Startup; `clear` for 2.0,
/// because Linux' Xen frontend never sends one. Refuses `deactivated` for 2.0.
result<tpm::startup> startup_for(const options& given, tpm_version version);

} // namespace vtpm::deploy
