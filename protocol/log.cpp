#include "protocol/log.hpp"

#include <mutex>
#include <string>

#include <poll.h>
#include <unistd.h>

#include <spdlog/sinks/base_sink.h>

namespace vtpm {

namespace {

/// Standard error, without ever waiting for whoever reads it: a stalled reader
/// must not stall the thread that serves the guests.
class patient_sink final : public spdlog::sinks::base_sink<std::mutex> {
private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (lost_ > 0 && write("(" + std::to_string(lost_) + " lines lost)\n"))
      lost_ = 0;
    if (!write({line.data(), line.size()}))
      ++lost_;
  }

  void flush_() override {
    // nop: nothing is kept
  }

  /// A writable pipe takes PIPE_BUF octets, 4096 on Linux, without waiting
  /// (pipe(7)); longer lines are cut.
  static bool write(std::string_view line) {
    pollfd out{STDERR_FILENO, POLLOUT, 0};
    if (::poll(&out, 1, 0) != 1 || (out.revents & POLLOUT) == 0)
      return false;
    line = line.substr(0, 4096);
    return ::write(STDERR_FILENO, line.data(), line.size()) >= 0;
  }

  std::uint64_t lost_ = 0;
};

} // namespace

spdlog::logger& log() noexcept {
  static const auto instance = [] {
    auto logger = std::make_shared<spdlog::logger>(
      "vtpmd", std::make_shared<patient_sink>());
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %-7l %v");
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
