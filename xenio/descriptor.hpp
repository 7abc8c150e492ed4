#pragma once

#include <utility>

namespace vtpm::xenio {

/// Owns a file descriptor, or nothing.
class descriptor {
public:
  descriptor() = default;

  explicit descriptor(int fd) noexcept : fd_(fd) {
    // nop
  }

  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {
    // nop
  }

  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  ~descriptor();

  /// Returns the descriptor; -1 for none.
  int get() const noexcept {
    return fd_;
  }

  explicit operator bool() const noexcept {
    return fd_ >= 0;
  }

  /// Closes it now.
  void reset() noexcept;

private:
  int fd_ = -1;
};

} // namespace vtpm::xenio
