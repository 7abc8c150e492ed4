#include "deploy/bench/machine.hpp"

#include <fstream>
#include <string_view>
#include <thread>

#include <sys/utsname.h>

namespace vtpm::deploy {

namespace {

constexpr auto unknown = "unknown";

std::string cpu_model() {
  constexpr auto name = std::string_view{"model name"};
  std::ifstream file{"/proc/cpuinfo"};
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name)) {
      const auto colon = line.find(": ");
      if (colon != std::string::npos)
        return line.substr(colon + 2);
    }
  return unknown;
}

std::string kernel() {
  utsname names{};
  return ::uname(&names) == 0 ? names.release : unknown;
}

std::string load() {
  std::string first;
  std::ifstream{"/proc/loadavg"} >> first;
  return first.empty() ? unknown : first;
}

/// Returns the type of the mount that is the longest prefix of `directory`.
std::string file_system(const std::string& directory) {
  std::ifstream mounts{"/proc/self/mounts"};
  std::string device, best_point, best = unknown;
  for (std::string point, type, rest; mounts >> device >> point >> type;) {
    std::getline(mounts, rest);
    const auto is_inside = point == "/" || directory == point
      || directory.starts_with(point + "/");
    if (is_inside && point.size() >= best_point.size()) {
      best_point = point;
      best = type + " on " + device;
    }
  }
  return best;
}

} // namespace

std::string describe_machine(const std::string& directory) {
  return cpu_model() + ", "
    + std::to_string(std::thread::hardware_concurrency()) + " CPUs, kernel "
    + kernel() + ", state on " + file_system(directory) + ", load " + load();
}

} // namespace vtpm::deploy
