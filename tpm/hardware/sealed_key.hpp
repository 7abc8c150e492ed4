#pragma once

#include <string>

#include "tpm/hardware/store_secret.hpp"

// The file with a store's secret, sealed by the hardware TPM, and what the TPM
// must be asked to open it: sealed_key_format.md.

namespace vtpm::tpm {

struct sealed_key {
  seal_policy policy;
  sealed_object object;
};

/// The longest file that is read.
inline constexpr std::size_t sealed_key_size_max = 32 * 1024;

/// Returns the file's octets.
byte_vector encode_sealed_key(const sealed_key& sealed);

/// Reads them. `errc::not_a_state` is no such file or one of a later version,
/// `errc::damage` one that was changed or cut short.
result<sealed_key> decode_sealed_key(byte_view octets);

/// Reads a file. `errc::not_found` if there is none.
result<sealed_key> load_sealed_key(const std::string& path);

/// Makes a file, 0600, synced with its directory; refuses to overwrite.
result<unit> create_sealed_key(const std::string& path,
                               const sealed_key& sealed);

/// Puts another one in its place: after a crash there is the old or the new.
result<unit> replace_sealed_key(const std::string& path,
                                const sealed_key& sealed);

/// Has the TPM seal a store's secret.
result<sealed_key> seal_store_secret(hardware_tpm& hardware,
                                     const store_secret& secret,
                                     const seal_policy& policy);

/// Has the TPM open it, see `hardware_tpm::unseal`.
result<store_secret> unseal_store_secret(
  hardware_tpm& hardware, const sealed_key& sealed,
  std::span<const pcr_approval> approvals);

/// Reads an administrator's approvals from a directory: each NAME.policy, of 32
/// octets, with the signature in NAME.sig. Skips what is malformed, for one
/// good approval is enough. At most `approvals_max`.
result<std::vector<pcr_approval>> load_approvals(const std::string& directory);

inline constexpr std::size_t approvals_max = 256;

} // namespace vtpm::tpm
