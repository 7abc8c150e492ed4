#pragma once

#include "tpm/committer.hpp"
#include "tpm/hardware/counter_keeper.hpp"
#include "tpm/state_store.hpp"

// Stores that a hardware TPM's counter counts, when their owner starts. Blocks.

namespace vtpm::tpm {

/// Writes one commit, raises the counter, acknowledges.
result<durable_receipt> commit_counted(state_store& store, committer& writer,
                                       counter_keeper& counter, generation gen,
                                       const snapshot& state);

/// Opens a store, raises a counter that is behind, and commits what was found
/// once more: what this returns may be acted upon, see `state_store::open`.
/// @param adopt Takes the newest image whatever its number.
result<state_store::opened> open_counted(slot_device& device, committer& writer,
                                         const local_key& key,
                                         tpm_version expected,
                                         counter_keeper& counter, bool adopt);

} // namespace vtpm::tpm
