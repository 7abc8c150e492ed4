#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tpm/engine.hpp"

namespace vtpm::tpm {

/// How a new TPM comes out of the factory.
struct manufacture_options {
  /// 1.2: leaves software physical presence asserted for the TPM's life.
  /// Without it the lock of physical presence is set after manufacture.
  bool physical_presence = false;
  /// 2.0: the PCR banks to allocate, of "sha1", "sha256", "sha384", "sha512".
  std::vector<std::string> pcr_banks = {"sha1", "sha256"};
};

/// libtpms behind `engine`. The library keeps its TPM in globals, so a process
/// can have one at a time; a second is refused with `errc::engine`.

/// Makes a new TPM that is ready to use and returns its state; the engine is
/// gone afterwards. 1.2: endorsement key, enabled, activated, ownership
/// allowed, nvLocked set. 2.0: the PCR banks asked for.
result<snapshot_ptr> manufacture_libtpms(tpm_version version,
                                         const manufacture_options& options);

/// A powered-on TPM and the state that powering it on changed, if any.
struct powered_engine {
  std::unique_ptr<engine> instance;
  snapshot_ptr changed;
};

/// TPM_Init with `state`, then `how`.
/// @param physical_presence 1.2: asserts hardware physical presence.
result<powered_engine> power_on_libtpms(tpm_version version, snapshot_ptr state,
                                        startup how,
                                        bool physical_presence = false);

} // namespace vtpm::tpm
