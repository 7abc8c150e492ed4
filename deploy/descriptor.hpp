#pragma once

#include <utility>

#include <unistd.h>

namespace vtpm::deploy {

/// Owns a file descriptor, or none.
class descriptor {
public:
  descriptor() = default;

  explicit descriptor(int value) noexcept : value_(value) {
    // nop
  }

  descriptor(descriptor&& other) noexcept
    : value_(std::exchange(other.value_, -1)) {
    // nop
  }

  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }

  ~descriptor() {
    if (value_ >= 0)
      ::close(value_);
  }

  /// Returns the descriptor, -1 for none.
  int get() const noexcept {
    return value_;
  }

  explicit operator bool() const noexcept {
    return value_ >= 0;
  }

private:
  int value_ = -1;
};

} // namespace vtpm::deploy
