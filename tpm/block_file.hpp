#pragma once

#include <memory>
#include <string>

#include "tpm/state_store.hpp"

namespace vtpm::tpm {

/// A state on a regular file or a block device: O_DIRECT|O_DSYNC, or O_DSYNC
/// alone where O_DIRECT is refused. One opener at a time: OFD lock on files,
/// O_EXCL on block devices.
class block_file final : public slot_device {
public:
  /// Opens an existing state. `errc::not_found` and `errc::locked` say why not.
  static result<std::unique_ptr<block_file>> open(const std::string& path);

  /// A regular file: makes it, 0600, zero-filled and synced with its directory;
  /// `errc::exists` if it is there. A block device: opens it; whether its slots
  /// are empty is for `state_store::create` to see.
  static result<std::unique_ptr<block_file>> create(const std::string& path);

  ~block_file() override;

  /// For the committer.
  int descriptor() const noexcept {
    return descriptor_;
  }

  bool direct() const noexcept {
    return direct_;
  }

  std::size_t alignment() const noexcept override {
    return alignment_;
  }

  result<unit> read(std::uint64_t offset,
                    std::span<std::uint8_t> target) override;

private:
  block_file(int descriptor, std::size_t alignment, bool direct) noexcept
    : descriptor_(descriptor), alignment_(alignment), direct_(direct) {
    // nop
  }

  int descriptor_;
  std::size_t alignment_;
  bool direct_;
};

} // namespace vtpm::tpm
