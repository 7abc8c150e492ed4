#pragma once

#include "actors/supervisor.hpp"

// The SUPERVISOR's care for the primary: a TPM reset follows its boots.

namespace vtpm::actors {

/// If the coming of `who` means that its guest has booted, has the TPM reset
/// and the device looked at again when that is durable; until then, and if it
/// fails, the frontend is not connected. Returns whether that is so.
bool reset_first(supervisor_self self, const frontend_identity& who);

/// Remembers that `who` is connected, or that the TPM was reset for it.
void admit(supervisor_self self, const frontend_identity& who);

/// The primary's next new domid is no boot.
void keep_next(supervisor_self self);

platform_report report_platform(const supervisor_state& state);

} // namespace vtpm::actors
