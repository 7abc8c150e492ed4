#pragma once

#include <memory>

#include "tests/simulation/engines.hpp"

// A small TPM that keeps what guests of the simulator ask for: counters,
// numbers and PCRs. It speaks the 2.0 commands of commands.hpp, byte by byte,
// runs them for real, and has the habits of libtpms that a vTPM domain has to
// bear:
//
// - counters and numbers are permanent, PCRs are volatile
// - what changed is known from the snapshot that comes with the response
// - a start without an orderly shutdown is counted, and that is a change
// - the first extend after an orderly shutdown is a change too

namespace vtpm::simulation {

/// Returns a model TPM for `guests_max` guests: all zeros.
tpm::snapshot_ptr new_model();

/// Switches a model TPM on; PCRs come out of `volatile_blob` unless that is
/// empty.
tpm::result<tpm::powered_engine> power_on_model(tpm::snapshot_ptr state,
                                                byte_view volatile_blob);

} // namespace vtpm::simulation
