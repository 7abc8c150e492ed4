#pragma once

#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "protocol/bytes.hpp"
#include "tpm/errc.hpp"

namespace vtpm::tpm {

/// A descriptor that is closed with its owner.
class owned_descriptor {
public:
  owned_descriptor() = default;

  explicit owned_descriptor(int descriptor) noexcept : descriptor_(descriptor) {
    // nop
  }

  owned_descriptor(owned_descriptor&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {
    // nop
  }

  owned_descriptor& operator=(owned_descriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }

  ~owned_descriptor();

  int get() const noexcept {
    return descriptor_;
  }

  explicit operator bool() const noexcept {
    return descriptor_ >= 0;
  }

private:
  int descriptor_ = -1;
};

/// Calls `attempt` again, for a second, while it fails with `errc::locked`: the
/// kernel closes a killed process' files, its io_uring last, some time after
/// its end and one after the other, and a successor may start at once.
template <class Attempt>
auto wait_while_locked(Attempt attempt) {
  constexpr auto tries_max = 50;
  constexpr auto pause = std::chrono::milliseconds{20};
  auto out = attempt();
  for (auto tries = 1;
       !out && out.error().code == errc::locked && tries < tries_max; ++tries) {
    std::this_thread::sleep_for(pause);
    out = attempt();
  }
  return out;
}

/// Takes the lock that goes with the open file, not with the process: it needs
/// no lock file and cannot be dropped by closing another descriptor. Waits a
/// second for a process that is ending; `errc::locked` for one that is not.
result<unit> lock_file(int descriptor, const std::string& path);

/// A new file under a name that nobody looks for, until it is published.
class unpublished_file {
public:
  /// Makes an empty file, 0600, beside `path`.
  static result<unpublished_file> make(const std::string& path);

  unpublished_file(unpublished_file&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      file_(std::move(other.file_)) {
    // nop
  }

  unpublished_file& operator=(unpublished_file&&) = delete;

  /// Removes the file unless it was published.
  ~unpublished_file();

  int descriptor() const noexcept {
    return file_.get();
  }

  /// Syncs the file, gives it its name and syncs the directory: after a crash
  /// there is the whole file or none. `errc::exists` if the name is taken.
  result<unit> publish();

  /// The same in the place of whatever has the name: after a crash there is the
  /// old file or the new one.
  result<unit> replace();

private:
  result<unit> take_name(unsigned flags);

  unpublished_file(std::string path, std::string temporary,
                   owned_descriptor file) noexcept;

  std::string path_;
  /// Empty once published or moved from.
  std::string temporary_;
  owned_descriptor file_;
};

/// Reads a regular file of at most `size_max` octets. `errc::not_found` if
/// there is none, `errc::unusable` if it is something else or longer.
result<byte_vector> read_small_file(const std::string& path,
                                    std::size_t size_max);

/// Writes all of `data` from the descriptor's position on.
/// @param what The file's name, for the error.
result<unit> write_all(int descriptor, const void* data, std::size_t size,
                       const std::string& what);

} // namespace vtpm::tpm
