#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "deploy/result.hpp"

namespace vtpm::deploy {

/// Which CPUs client and server run on.
enum class pinning {
  /// Where the scheduler puts them.
  none,
  /// Client on CPU 0, servers on CPU 1: as two domains with a CPU each.
  split,
  /// All on CPU 0: a wake-up costs least, and nothing runs in parallel.
  same,
};

/// Everything vtpm-bench can be told, checked and typed; see vtpm-bench(1).
struct bench_options {
  /// Of `suite_names`, in their order.
  std::vector<std::string> suites;
  std::size_t rounds = 5;
  /// As few samples as show that everything works.
  bool quick = false;
  pinning pin = pinning::none;
  /// Beside vtpm-bench unless given.
  std::string vtpmd_path;
  std::string swtpm_path = "swtpm";
  /// Further arguments of vtpmd.
  std::vector<std::string> vtpmd_arguments;
  /// Where the states are: the disk under test.
  std::string state_directory;
  /// Empty: no JSON; "-": standard output instead of the table.
  std::string json_path;
};

/// Reads the command line.
/// @param suite_names What `--suite` takes; all of them without it.
std::variant<bench_options, early_exit> parse_bench_options(
  int argc, const char* const* argv,
  const std::vector<std::string>& suite_names);

} // namespace vtpm::deploy
