#pragma once

#include <memory>
#include <vector>

#include "protocol/bytes.hpp"
#include "tpm/libtpms_engine.hpp"

// What the hardware TPM has measured, carried over into a vTPM: each value is
// extended into the PCR of the same number, right after TPM_Init and Startup
// and before anybody's command. A PCR then is H(zeros || value): libtpms has no
// way to set one, and so nobody else can.

namespace vtpm::tpm {

/// One PCR of the hardware TPM.
struct initial_pcr {
  unsigned index;
  /// 20 octets, of bank SHA-1; empty if that is not to be had.
  byte_vector sha1;
  /// 32 octets, of bank SHA-256; likewise. A TPM 1.2 has no use for it.
  byte_vector sha256;
};

/// Returns the command that extends a PCR of a TPM of `version`; empty if there
/// is no value for it.
byte_vector extend_request(tpm_version version, const initial_pcr& value);

/// Extends the values into a TPM that has just been started, and again after
/// each of its resets.
/// @param fresh It has not run anything since its startup; `false` if it goes
///              on from where it was.
result<powered_engine> with_initial_pcrs(powered_engine powered,
                                         std::vector<initial_pcr> values,
                                         bool fresh);

} // namespace vtpm::tpm
