#pragma once

#include <optional>
#include <string>

#include "protocol/bytes.hpp"
#include "protocol/version.hpp"
#include "tpm/errc.hpp"
#include "tpm/snapshot.hpp"

// State directories of swtpm (0.7.1 and what reads the same), to move here
// from there. A state file is
//
//     version minimum headersize flags totallength   ; 1, 1, 2, 2, 4 octets
//     field*    ; field := tag length value          ; 2, 4 and `length`
//
// big-endian, flag 1 "encrypted", tag 1 "state as libtpms wrote it". It has no
// checksum: what was changed in it and still unpacks is taken.

namespace vtpm::tpm {

/// The longest state file that is read.
inline constexpr std::size_t swtpm_file_size_max = 512 * 1024;

/// Returns the state in one file. `errc::unusable` is an encrypted one or one
/// of another version, `errc::not_a_state` no state file.
result<secret_bytes> decode_swtpm_file(byte_view octets);

/// What a state directory holds.
struct swtpm_state {
  tpm_version version;
  snapshot state;
  /// There is a volatile state too, which was left alone.
  bool volatile_ignored;
};

/// Reads a state directory that no swtpm has locked.
/// @param expected Which TPM, where the directory has one of each version.
result<swtpm_state> read_swtpm_directory(const std::string& path,
                                         std::optional<tpm_version> expected);

} // namespace vtpm::tpm
