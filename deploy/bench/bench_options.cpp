#include "deploy/bench/bench_options.hpp"

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include <CLI/CLI.hpp>

#include "deploy/command_line.hpp"

namespace vtpm::deploy {

namespace {

namespace fs = std::filesystem;

/// More says nothing that twenty do not.
constexpr std::size_t rounds_max = 100;

const std::map<std::string, pinning> pinnings = {
  {"none", pinning::none},
  {"split", pinning::split},
  {"same", pinning::same},
};

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words)
    text += (text.empty() ? "" : ", ") + word;
  return text;
}

void add_measuring_options(CLI::App& app, bench_options& target,
                           std::string& pin,
                           const std::vector<std::string>& suite_names) {
  const auto* group = "What is measured";
  app
    .add_option("--suite", target.suites,
                "Measure only: " + joined(suite_names) + "; repeatable")
    ->type_name("NAME")
    ->allow_extra_args(false)
    ->check(CLI::IsMember(suite_names))
    ->group(group);
  app.add_option("--rounds", target.rounds, "How often each case is measured")
    ->type_name("N")
    ->check(CLI::Range(std::size_t{1}, rounds_max))
    ->capture_default_str()
    ->group(group);
  app
    .add_flag("--quick", target.quick,
              "Few samples: shows that it works, not how fast")
    ->group(group);
  app
    .add_option("--pin", pin,
                "CPUs of client and servers: where the scheduler puts them, 0 "
                "and 1, or 0 for both")
    ->type_name("none|split|same")
    ->check(CLI::IsMember({"none", "split", "same"}))
    ->capture_default_str()
    ->group(group);
}

void add_place_options(CLI::App& app, bench_options& target) {
  const auto* group = "Where";
  app
    .add_option("--state-dir", target.state_directory,
                "Directory on the disk under test [that for temporary files]")
    ->type_name("DIR")
    ->check(CLI::ExistingDirectory)
    ->group(group);
  app.add_option("--vtpmd", target.vtpmd_path, "[vtpmd beside vtpm-bench]")
    ->type_name("PATH")
    ->check(CLI::ExistingFile)
    ->group(group);
  app
    .add_option("--vtpmd-arg", target.vtpmd_arguments,
                "One more argument for vtpmd, e.g. --vtpmd-arg=--poll-us=50; "
                "repeatable")
    ->type_name("ARG")
    ->allow_extra_args(false)
    ->group(group);
  app.add_option("--swtpm", target.swtpm_path, "The peer")
    ->type_name("PATH")
    ->capture_default_str()
    ->group(group);
  app
    .add_option("--json", target.json_path,
                "Also write the figures as JSON; \"-\": instead of the table")
    ->type_name("FILE|-")
    ->group(group);
}

std::string beside_ourselves(const char* name) {
  std::error_code error;
  const auto self = fs::read_symlink("/proc/self/exe", error);
  return (self.parent_path() / name).string();
}

} // namespace

std::variant<bench_options, early_exit> parse_bench_options(
  int argc, const char* const* argv,
  const std::vector<std::string>& suite_names) {
  CLI::App app{"Measures vtpmd beside swtpm and beside what the machine allows "
               "at best. Starts both itself, in a temporary directory.",
               "vtpm-bench"};
  bench_options target;
  std::string pin = "none";
  prepare(app);
  add_measuring_options(app, target, pin, suite_names);
  add_place_options(app, target);
  app.footer(
    "Example:\n"
    "  vtpm-bench --suite latency --suite durable --state-dir /var/tmp\n"
    "\n"
    "The manual page vtpm-bench(1) says more.");
  if (auto exit = parse(app, argc, argv))
    return std::move(*exit);
  target.pin = pinnings.at(pin);
  if (target.suites.empty()) {
    target.suites = suite_names;
  } else {
    const auto wanted = std::exchange(target.suites, {});
    for (const auto& name : suite_names)
      if (std::find(wanted.begin(), wanted.end(), name) != wanted.end())
        target.suites.push_back(name);
  }
  if (target.vtpmd_path.empty())
    target.vtpmd_path = beside_ourselves("vtpmd");
  std::error_code error;
  if (target.state_directory.empty())
    target.state_directory = fs::temp_directory_path(error).string();
  return target;
}

} // namespace vtpm::deploy
