#pragma once

#include <string>
#include <variant>

#include "tpm/errc.hpp"
#include "tpm/export_file.hpp"

namespace vtpm::deploy {

/// A passphrase in a file that nobody else may read; a line feed at its end
/// does not count.
struct passphrase_file {
  std::string path;
};

/// A passphrase to be read from an open descriptor, up to a line feed or its
/// end.
struct passphrase_descriptor {
  int number;
};

/// A passphrase to be asked for on the terminal.
struct passphrase_prompt {
  /// For a new export: ask twice.
  bool twice;
};

/// A file of 32 random octets that nobody else may read.
struct export_key_file {
  std::string path;
};

/// Where the secret of an export comes from. Never the command line, which
/// everyone can read.
using secret_source = std::variant<passphrase_prompt, passphrase_file,
                                   passphrase_descriptor, export_key_file>;

/// Returns what kind of lock the secret is for.
tpm::export_lock_kind kind_of(const secret_source& source) noexcept;

/// Reads the secret. An empty passphrase is refused, and one of more than 1024
/// octets.
tpm::result<tpm::secret_bytes> read_secret(const secret_source& source);

} // namespace vtpm::deploy
