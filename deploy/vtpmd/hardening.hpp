#pragma once

namespace vtpm::deploy {

/// Keeps the TPM's secrets in this process: no core dumps, no ptrace by other
/// processes of the user, no privileges through exec, files for the owner only,
/// memory never swapped out. Logs a warning for what the system refuses and
/// goes on. Call before anything secret is in memory and before any thread.
void harden_process();

} // namespace vtpm::deploy
