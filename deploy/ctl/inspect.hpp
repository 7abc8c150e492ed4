#pragma once

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "tpm/state_inspection.hpp"

namespace vtpm::deploy {

/// A state to be looked at.
struct inspect_command {
  std::string state_path;
  /// Empty: look without a key.
  std::optional<std::string> key_path;
  bool json = false;
};

/// What was found. Nothing in it is secret.
struct inspection {
  tpm::state_report report;
  /// A vtpmd, or something else, has it open.
  bool in_use = false;
};

/// Looks at both slots, changing nothing.
tpm::result<inspection> inspect(const inspect_command& wanted);

/// Returns what a vtpmd that is started on this exits with; 0 if it starts.
int exit_code_of(const inspection& found) noexcept;

/// The report as JSON; vtpmctl(8) documents it.
nlohmann::json to_json(const std::string& path, const inspection& found);

/// The report for people.
std::string to_text(const std::string& path, const inspection& found);

} // namespace vtpm::deploy
