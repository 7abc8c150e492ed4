#pragma once

#include <memory>

#include "protocol/bytes.hpp"
#include "protocol/manager.hpp"
#include "tpm/hardware/hardware_tpm.hpp"

namespace vtpm::tpm {

/// The few commands for the hardware TPM that a TPM Manager passes on, whatever
/// version the hardware is of:
///
///     TPM_GetRandom                 for everyone; our own generator's octets
///                                   if there is no hardware TPM
///     TPM_PCRRead                   for everyone; of the bank SHA-1
///     TPM_Extend                    for administrators; the same bank
///     TPM2_PCR_Read                 for everyone; one PCR of one bank
class passthrough {
public:
  /// @param hardware Null if there is none.
  explicit passthrough(std::shared_ptr<hardware_tpm> hardware)
    : hardware_(std::move(hardware)) {
    // nop
  }

  /// Carries out a command whose tag is a TPM's own. Blocks for as long as the
  /// hardware takes.
  byte_vector answer(bool is_admin, byte_view request);

private:
  byte_vector random(byte_view body);
  byte_vector read_pcr_1_2(byte_view body);
  byte_vector extend(byte_view body);
  byte_vector read_pcr_2_0(byte_view body);

  std::shared_ptr<hardware_tpm> hardware_;
};

} // namespace vtpm::tpm
