#pragma once

#include "tpm/hardware/hardware_tpm.hpp"

namespace vtpm::tpm {

/// Raises one counter to the numbers of a store, see counter_rule.hpp. Blocks
/// as long as the TPM does.
class counter_keeper {
public:
  /// Borrows the TPM.
  counter_keeper(hardware_tpm& hardware, nv_counter counter)
    : hardware_(hardware), counter_(std::move(counter)) {
    // nop
  }

  result<counter_reading> read() {
    return hardware_.read_counter(counter_);
  }

  /// Raises the counter to `number`, if it is not there yet: after an error it
  /// may be repeated. Refuses what is no next number with `errc::hardware`:
  /// then somebody else counts, too, or the TPM was reset meanwhile.
  result<unit> raise(std::uint64_t number);

private:
  hardware_tpm& hardware_;
  nv_counter counter_;
};

} // namespace vtpm::tpm
