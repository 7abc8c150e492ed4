#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>
#include <sys/resource.h>

#include "deploy/bench/bench_options.hpp"
#include "deploy/bench/child_process.hpp"
#include "deploy/bench/laboratory.hpp"
#include "deploy/bench/machine.hpp"
#include "deploy/bench/report.hpp"
#include "deploy/bench/suites.hpp"
#include "deploy/command_line.hpp"
#include "deploy/vtpmd/signals.hpp"
#include "protocol/log.hpp"

namespace {

using namespace vtpm;
using namespace vtpm::deploy;

/// Hundreds of frontends have three descriptors each, here and in vtpmd.
void allow_many_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::vector<std::string> suite_names() {
  std::vector<std::string> names;
  for (const auto& one : all_suites())
    names.emplace_back(one.name);
  return names;
}

bool is_wanted(const bench_options& given, const std::string& name) {
  for (const auto& wanted : given.suites)
    if (wanted == name)
      return true;
  return false;
}

result<std::vector<row>> run_suites(const bench_options& given) {
  if (given.pin != pinning::none)
    if (auto pinned = pin_to(0); !pinned)
      return pinned.error();
  auto lab = laboratory::open(given);
  if (!lab)
    return lab.error();
  std::vector<row> rows;
  for (const auto& one : all_suites()) {
    if (!is_wanted(given, one.name))
      continue;
    const auto begin = std::chrono::steady_clock::now();
    const auto figures = one.run(**lab);
    if (!figures)
      return problem{std::string{one.name} + ": " + figures.error().text};
    for (const auto& figure : *figures)
      rows.push_back(summarize(figure));
    const std::chrono::duration<double> taken
      = std::chrono::steady_clock::now() - begin;
    std::fprintf(stderr, "%-10s %6.1f s\n", one.name, taken.count());
  }
  return rows;
}

result<unit> print(const bench_options& given, const std::string& machine,
                   const std::vector<row>& rows) {
  constexpr auto indentation = 2;
  const auto json = report_json(rows).dump(indentation) + "\n";
  if (given.json_path == "-") {
    std::fprintf(stderr, "%s\n", machine.c_str());
    std::fputs(json.c_str(), stdout);
    return unit{};
  }
  std::printf("%s\n\n%s", machine.c_str(), report_table(rows).c_str());
  if (given.json_path.empty())
    return unit{};
  std::ofstream file{given.json_path};
  file << json;
  file.close();
  if (!file)
    return problem{"cannot write " + given.json_path};
  return unit{};
}

} // namespace

int main(int argc, char** argv) {
  const auto parsed = parse_bench_options(argc, argv, suite_names());
  if (const auto* exit = std::get_if<early_exit>(&parsed))
    return leave(*exit);
  const auto& given = std::get<bench_options>(parsed);
  set_log_level("warn");
  ignore_broken_pipes();
  allow_many_descriptors();
  const auto machine = describe_machine(given.state_directory);
  const auto rows = run_suites(given);
  const auto done
    = rows ? print(given, machine, *rows) : result<unit>{rows.error()};
  if (done)
    return exit_code::success;
  std::fprintf(stderr, "vtpm-bench: %s\n", done.error().text.c_str());
  return exit_code::failure;
}
