#pragma once

#include <memory>
#include <string_view>

#include <spdlog/logger.h>

// The one door to spdlog: nobody else names it. No secret, no packet content
// and no state ever goes into a line.

namespace vtpm {

/// Returns the process-wide logger: standard error, levels error, warning,
/// info and debug. Safe to call from any thread.
spdlog::logger& log() noexcept;

/// Sets the level by name: "error", "warn", "info" or "debug". Returns `false`
/// and changes nothing for any other name.
bool set_log_level(std::string_view name);

} // namespace vtpm
