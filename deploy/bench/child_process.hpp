#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "deploy/result.hpp"

namespace vtpm::deploy {

/// A program that vtpm-bench started; killed when it is not wanted any more.
class child_process {
public:
  /// Starts `arguments[0]`, looked up in PATH unless it has a slash. Its output
  /// goes to the end of `log_path`.
  /// @param cpu Which CPU it may use; any if none.
  static result<child_process> start(const std::vector<std::string>& arguments,
                                     const std::string& log_path,
                                     std::optional<unsigned> cpu);

  child_process(child_process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)) {
    // nop
  }

  child_process& operator=(child_process&& other) noexcept {
    std::swap(pid_, other.pid_);
    return *this;
  }

  /// Kills and reaps it.
  ~child_process();

  pid_t pid() const noexcept {
    return pid_;
  }

  /// Returns whether it has ended.
  bool ended() noexcept;

  /// Asks it to end, by SIGTERM, and waits for that; kills it when it takes
  /// longer than ten seconds.
  void stop() noexcept;

private:
  explicit child_process(pid_t pid) noexcept : pid_(pid) {
    // nop
  }

  /// -1 once reaped.
  pid_t pid_;
};

/// Lets this process, and those it starts, use that CPU only.
result<unit> pin_to(unsigned cpu);

} // namespace vtpm::deploy
