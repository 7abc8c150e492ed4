#pragma once

#include <memory>
#include <optional>
#include <variant>

#include <CLI/App.hpp>

#include "deploy/ctl/inspect.hpp"
#include "deploy/ctl/transfer.hpp"
#include "deploy/result.hpp"

// For .cpp files only: CLI11 is slow to compile.

namespace vtpm::deploy {

/// What vtpmctl does to files.
using offline_command
  = std::variant<inspect_command, export_command, import_command>;

/// The subcommands inspect, export and import.
class offline_subcommands {
public:
  /// Adds them. @pre `app` outlives this.
  explicit offline_subcommands(CLI::App& app);

  ~offline_subcommands();

  /// Returns what was asked for; nothing if it was none of these.
  std::optional<result<offline_command>> given() const;

private:
  struct texts;

  void add_inspect(CLI::App& app);
  void add_export(CLI::App& app);
  void add_import(CLI::App& app);
  void add_shadow_options(CLI::App& command);
  void add_secret_options(CLI::App& command);

  result<secret_source> secret_of(const CLI::App& command, bool twice) const;
  result<offline_command> inspect_given() const;
  result<offline_command> export_given() const;
  result<offline_command> import_given() const;

  std::unique_ptr<texts> texts_;
  CLI::App* inspect_ = nullptr;
  CLI::App* export_ = nullptr;
  CLI::App* import_ = nullptr;
};

} // namespace vtpm::deploy
