#include "deploy/bench/usage.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

#include "deploy/parse_text.hpp"

namespace vtpm::deploy {

namespace {

namespace fs = std::filesystem;

std::string directory_of(pid_t process) {
  return "/proc/" + std::to_string(process);
}

std::string read_file(const std::string& path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, {}};
}

/// Returns the KiB of the line that begins with `name`, if it is whole.
std::optional<double> field(std::string_view text, std::string_view name) {
  constexpr auto unit = std::string_view{" kB"};
  for (auto line : split(text, '\n')) {
    if (!line.starts_with(name) || !line.ends_with(unit))
      continue;
    line.remove_suffix(unit.size());
    const auto value
      = parse_number<std::uint64_t>(line.substr(line.find_last_of(' ') + 1));
    if (value)
      return static_cast<double>(*value);
  }
  return std::nullopt;
}

} // namespace

std::optional<memory_use> parse_memory_use(std::string_view text) {
  const auto dirty = field(text, "Private_Dirty:");
  const auto proportional = field(text, "Pss:");
  if (!dirty || !proportional)
    return std::nullopt;
  return memory_use{*dirty, *proportional};
}

std::optional<std::uint64_t> parse_cpu_time(std::string_view text) {
  return parse_number<std::uint64_t>(text.substr(0, text.find(' ')));
}

result<memory_use> memory_of(pid_t process) {
  const auto path = directory_of(process) + "/smaps_rollup";
  const auto use = parse_memory_use(read_file(path));
  if (!use)
    return problem{"cannot read " + path + ": run as root"};
  return *use;
}

result<std::uint64_t> cpu_time_of(pid_t process) {
  const auto directory = directory_of(process) + "/task";
  std::error_code ignored;
  auto total = std::uint64_t{0};
  for (const auto& thread : fs::directory_iterator{directory, ignored}) {
    const auto path = thread.path().string() + "/schedstat";
    const auto time = parse_cpu_time(read_file(path));
    if (!time)
      return problem{"cannot read " + path};
    total += *time;
  }
  return total;
}

} // namespace vtpm::deploy
