#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

namespace vtpm::actors {

/// Bounds how many lines a second somebody can make us log. What is left out is
/// counted and said with the next line.
class log_limit {
public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit log_limit(unsigned lines_per_second) noexcept
    : lines_max_(lines_per_second) {
    // nop
  }

  /// Returns whether a line may be logged at `now`.
  bool admit(time_point now) noexcept {
    if (now >= window_end_) {
      window_end_ = now + std::chrono::seconds{1};
      lines_ = 0;
    }
    if (lines_ == lines_max_) {
      ++left_out_;
      return false;
    }
    ++lines_;
    return true;
  }

  /// Returns what to put behind the line that was admitted, once.
  std::string remark() {
    const auto count = std::exchange(left_out_, 0);
    return count == 0
      ? std::string{}
      : " (" + std::to_string(count) + " lines like it left out)";
  }

private:
  unsigned lines_max_;
  unsigned lines_ = 0;
  std::uint64_t left_out_ = 0;
  time_point window_end_;
};

} // namespace vtpm::actors
