#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "tpm/hardware/hardware_tpm.hpp"

namespace vtpm::tpm {

/// Where the hardware TPM is, and what it must be told.
struct esys_options {
  /// As tpm2-tss' tctildr reads it: "device:/dev/tpmrm0",
  /// "swtpm:host=127.0.0.1,port=2321", "cmd:PROGRAM".
  std::string tcti;
  /// The owner hierarchy's authorization value; usually empty.
  secret_bytes owner_auth;
  /// Handle of a persistent storage key, 81xxxxxx. Without one the key is made
  /// of the owner's seed each time: always the same one, until the TPM is
  /// cleared.
  std::optional<std::uint32_t> storage_key;
};

/// Returns the TPM behind a TCTI, through tpm2-tss' ESAPI. Connects with the
/// first call, and again after the connection was lost. Secrets travel
/// encrypted, in a session salted with the storage key, and every answer that
/// matters is authenticated by it.
/// @pre There is no other thread yet that reads the environment.
std::unique_ptr<hardware_tpm> make_esys_tpm(esys_options options);

} // namespace vtpm::tpm
