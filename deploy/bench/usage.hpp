#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <sys/types.h>

#include "deploy/result.hpp"

namespace vtpm::deploy {

/// What a process costs in memory, in KiB (proc(5), smaps_rollup).
struct memory_use {
  /// Written by it and shared with nobody.
  double private_dirty;
  /// All that is resident, shared pages by share.
  double proportional;
};

/// Reads the text of a smaps_rollup file; nullopt when a field is missing.
std::optional<memory_use> parse_memory_use(std::string_view text);

/// Reads the time on a CPU, in nanoseconds, from the text of a schedstat file.
std::optional<std::uint64_t> parse_cpu_time(std::string_view text);

/// Returns the memory of a process. Needs the right to trace it: vtpmd keeps
/// that to root.
result<memory_use> memory_of(pid_t process);

/// Returns how long the threads that a process has now have been running, in
/// nanoseconds.
result<std::uint64_t> cpu_time_of(pid_t process);

} // namespace vtpm::deploy
