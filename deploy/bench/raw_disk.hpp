#pragma once

#include <memory>
#include <string>

#include "deploy/result.hpp"
#include "tpm/aligned_buffer.hpp"
#include "tpm/block_file.hpp"

namespace vtpm::deploy {

/// The least that a durable change can cost: a file made as a state is, on the
/// same file system, and written as a slot is, without anything around it.
class raw_disk {
public:
  /// @param path Of a file that is not there yet.
  /// @param size Octets per write: a multiple of the file system's alignment.
  static result<raw_disk> make(const std::string& path, std::size_t size);

  /// Returns the median of `count` synced writes, to the two slots in turn, in
  /// microseconds.
  result<double> time_writes(std::size_t count);

private:
  raw_disk(std::unique_ptr<tpm::block_file> file, tpm::aligned_buffer data)
    : file_(std::move(file)), data_(std::move(data)) {
    // nop
  }

  std::unique_ptr<tpm::block_file> file_;
  tpm::aligned_buffer data_;
};

} // namespace vtpm::deploy
