#include "protocol/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>

namespace vtpm {

spdlog::logger& log() noexcept {
  static const auto instance = [] {
    auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    auto logger = std::make_shared<spdlog::logger>("vtpmd", std::move(sink));
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %-5l %v");
    return logger;
  }();
  return *instance;
}

bool set_log_level(std::string_view name) {
  for (auto level : {"error", "warn", "info", "debug"})
    if (name == level) {
      log().set_level(name == "warn" ? spdlog::level::warn
                                     : spdlog::level::from_str(level));
      return true;
    }
  return false;
}

} // namespace vtpm
