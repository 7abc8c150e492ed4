#pragma once

#include <memory>
#include <utility>

#include "tests/tpm/hardware/swtpm_process.hpp"
#include "tpm/hardware/esys_tpm.hpp"

namespace vtpm::tests {

/// Returns what there has to be; else the test ends with the reason.
template <class T>
T must(tpm::result<T> outcome) {
  REQUIRE_MESSAGE(outcome, outcome.error().detail);
  return *std::move(outcome);
}

/// A machine with a TPM, and somebody who uses it.
struct machine {
  machine() {
    connect();
  }

  void connect() {
    auto options = tpm::esys_options{};
    options.tcti = swtpm.tcti();
    tpm = tpm::make_esys_tpm(std::move(options));
  }

  /// Turns it off and on; in good order or otherwise.
  void reboot(bool in_order) {
    tpm.reset();
    if (in_order)
      swtpm.turn_off();
    else
      swtpm.cut_power();
    swtpm.turn_on();
    connect();
  }

  /// Boots other software, or what comes after it.
  void extend(unsigned index) {
    REQUIRE(tpm->extend_pcr(tpm::pcr_bank::sha256, index, byte_vector(32, 7)));
  }

  swtpm_process swtpm;
  std::unique_ptr<tpm::hardware_tpm> tpm;
};

} // namespace vtpm::tests
