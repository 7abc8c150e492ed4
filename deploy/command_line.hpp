#pragma once

#include <cstdint>
#include <optional>

#include <CLI/App.hpp>

#include "deploy/result.hpp"

// What the tools' command lines have in common. For .cpp files only: CLI11 is
// slow to compile.

namespace vtpm::deploy {

/// Sets the layout of help texts and adds `--version`.
void prepare(CLI::App& app);

/// Adds `--config FILE`, a file with the same names as on the command line,
/// which wins. A name that is no option is an error; a name that occurs again
/// adds to the earlier one.
void add_config_option(CLI::App& app);

/// Returns the check that a number lies between two others, both included.
CLI::Validator in_range(std::uint32_t first, std::uint32_t last);

/// Reads the command line. Returns what to say and exit with unless the work
/// shall go on.
std::optional<early_exit> parse(CLI::App& app, int argc,
                                const char* const* argv);

/// Returns the exit for a command line that `why` refuses.
early_exit usage_error(const CLI::App& app, const problem& why);

/// Prints what an exit has to say. Returns its code.
int leave(const early_exit& exit);

} // namespace vtpm::deploy
