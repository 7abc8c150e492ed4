#pragma once

#include <memory>
#include <string>

#include "tpm/owned_file.hpp"
#include "tpm/state_store.hpp"

namespace vtpm::tpm {

/// A state on a regular file or a block device: O_DIRECT|O_DSYNC, or O_DSYNC
/// alone where O_DIRECT is refused. One opener at a time: OFD lock on files,
/// O_EXCL on block devices.
class block_file final : public slot_device {
public:
  /// Opens an existing state. `errc::not_found` and `errc::locked` say why not;
  /// `errc::unusable` is a file that is too small or that others may write.
  static result<std::unique_ptr<block_file>> open(const std::string& path);

  /// An open file and how to do I/O on it.
  struct opened_file {
    owned_descriptor file;
    bool direct;
  };

  /// A state opened for reading alone.
  struct inspected;

  /// Opens an existing state to look at it, whoever else has it open, and
  /// changes nothing. What is read while a vtpmd runs may be a slot that is
  /// just being written. Refuses what `open` refuses but for `errc::locked`.
  static result<inspected> inspect(const std::string& path);

  /// A regular file: makes it, 0600, zero-filled and synced with its directory;
  /// `errc::exists` if it is there, unless it is nothing but the zeros that a
  /// creation which was cut short has left. A block device: opens it; whether
  /// its slots are empty is for `state_store::create` to see.
  static result<std::unique_ptr<block_file>> create(const std::string& path);

  /// For the committer.
  int descriptor() const noexcept {
    return file_.get();
  }

  bool direct() const noexcept {
    return direct_;
  }

  std::size_t alignment() const noexcept override {
    return alignment_;
  }

  result<unit> read(std::uint64_t offset,
                    std::span<std::uint8_t> target) override;

  result<unit> sync() override;

private:
  static result<std::unique_ptr<block_file>> make(const std::string& path,
                                                  opened_file opened,
                                                  bool is_block);

  block_file(std::string path, owned_descriptor file, std::size_t alignment,
             bool direct) noexcept;

  std::string path_;
  owned_descriptor file_;
  std::size_t alignment_;
  bool direct_;
};

struct block_file::inspected {
  std::unique_ptr<block_file> file;
  /// Another process has it open as a state.
  bool in_use;
};

} // namespace vtpm::tpm
