#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "protocol/bytes.hpp"
#include "tpm/crypto/secret.hpp"
#include "tpm/errc.hpp"
#include "tpm/owned_file.hpp"

namespace vtpm::tpm {

/// A file in memory that outlives its process and not its machine: on tmpfs or
/// ramfs, 0600, locked by whoever has it open. Its content is shared with
/// nobody; a process that is killed leaves all that it had written.
class shadow_file {
public:
  /// Opens the file at `path`; nullopt if there is none. `errc::locked` if
  /// another process has it, `errc::unusable` if it is not ours alone or not in
  /// memory.
  static result<std::optional<shadow_file>> open(const std::string& path);

  /// Opens what may be another process's, only to read it as it is now.
  static result<std::optional<shadow_file>> look(const std::string& path);

  /// Makes an empty file beside `path`; `publish` gives it that name.
  static result<shadow_file> make(const std::string& path);

  shadow_file(shadow_file&& other) noexcept;
  shadow_file& operator=(shadow_file&&) = delete;

  /// Removes a file that was made and not published; leaves any other.
  ~shadow_file();

  /// Takes the place of what is there, at once and whole.
  result<unit> publish();

  /// Removes the file if it is still the one at its path.
  void remove() noexcept;

  /// Reads all of it, at most `size_max` octets.
  result<secret_bytes> read(std::size_t size_max) const;

  /// Makes `size_max` octets of address space show the file.
  result<std::span<std::uint8_t>> map(std::size_t size_max);

  result<unit> resize(std::size_t size);

  /// Takes memory for a part of the file, so that writing there cannot fail.
  result<unit> reserve(std::size_t offset, std::size_t size);

private:
  shadow_file(std::string path, std::string name, owned_descriptor file);

  std::string path_;
  /// What it is called now; `path_` once published.
  std::string name_;
  owned_descriptor file_;
  std::span<std::uint8_t> mapping_;
};

} // namespace vtpm::tpm
