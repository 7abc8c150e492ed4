#pragma once

#include <caf/typed_actor.hpp>

#include "actors/messages.hpp"

// Every actor interface of the domain, in the order a command meets them.
// Read this file first: it is the architecture.
//
//  guest      RING         TPM       RESPONSE    PERSISTENCE  KEY_AUTHORITY
//    | event    |           |            |            |             |
//    |--------->|  execute  |            |            |             |
//    |          |---------->|  release   |            |             |
//    |          |           |----------->|   commit   |             |
//    |          |           | (delegate) |----------->| flush       |
//    |          |           |            |            |--> slot     |
//    |          |           |            |            |<-- written  |
//    |          |           |            |            |   replace   |
//    |          |           |            |            |------------>|
//    |          |           |            |            |<------------|
//    |          |           |            |<-----------|    done     |
//    |          |   released_response    |  receipt   |             |
//    |          |<-----------------------|            |             |
//    |<---------|
//
// SUPERVISOR makes a RING for each frontend that the store announces, and ends
// it. CONTROL answers the operator: from the control socket, or from a ring at
// the administrator's locality. STATS asks everyone what they counted.

namespace vtpm::actors {

/// The METERED actor interface.
using metered_actor = caf::typed_actor<
  // Replies with the actor's own counters.
  caf::replies_to<stats_atom>::with<actor_stats>>;

/// The CONTROL actor interface.
using control_actor = caf::typed_actor<
  // Carries out one control request, JSON in, JSON out.
  caf::replies_to<control_atom, control_caller, std::string>::with<std::string>>
  // Conform to the protocol of the METERED actor.
  ::extend_with<metered_actor>;

/// The RING actor interface. One per connected frontend; it alone touches the
/// frontend's page.
using ring_actor = caf::typed_actor<
  // The doorbell rang: look at the shared page.
  caf::reacts_to<notify_atom>,
  // Takes no more requests, lets the command under way finish, then replies.
  caf::replies_to<drain_atom>::with<done_atom>,
  // Replies with this connection's counters.
  caf::replies_to<report_atom>::with<frontend_counters>>
  // Conform to the protocol of the METERED actor.
  ::extend_with<metered_actor>;

/// The TPM actor interface. Exactly one; it holds the engine, or has lent it.
using tpm_actor = caf::typed_actor<
  // Executes one command, in the order of arrival. The reply comes from the
  // RESPONSE actor. Fails with a `domain_errc`.
  caf::replies_to<execute_atom, command>::with<released_response>,
  // Releases what was decided before this vtpmd started, once it is durable.
  caf::replies_to<recall_atom, recalled_response>::with<released_response>,
  // The guest cancelled: forgets the frontend's waiting command, or asks the
  // engine to end it if it runs and can.
  caf::reacts_to<cancel_atom, frontend_id>,
  // INTERNAL: ends the job of this number, if the worker still has it.
  caf::reacts_to<cancel_atom, std::uint64_t>,
  // Platform reset, in turn with the commands; replies when it is durable.
  caf::replies_to<reset_atom, tpm::startup>::with<done_atom>,
  // Ends the running command as soon as may be, refuses the rest, prepares the
  // engine for power-off; replies when that is durable.
  caf::replies_to<drain_atom>::with<done_atom>,
  // INTERNAL: the worker has given the engine back.
  caf::reacts_to<finished_atom>,
  // Commits have failed for good: runs no more commands.
  caf::reacts_to<stop_atom>,
  // Commits work again: runs commands again.
  caf::reacts_to<resume_atom>,
  // Replies with the TPM's own counters.
  caf::replies_to<report_atom>::with<tpm_report>>
  // Conform to the protocol of the METERED actor.
  ::extend_with<metered_actor>;

/// The RESPONSE actor interface.
using response_actor = caf::typed_actor<
  // Replies with the response as soon as the guest may see it.
  caf::replies_to<release_atom, outcome>::with<released_response>>
  // Conform to the protocol of the METERED actor.
  ::extend_with<metered_actor>;

/// The PERSISTENCE actor interface.
using persistence_actor = caf::typed_actor<
  // Replies once this state, or a newer one, is on stable storage and the key
  // authority holds its key.
  caf::replies_to<commit_atom, state_change>::with<tpm::durable_receipt>,
  // INTERNAL: starts one commit of the newest state for everyone waiting.
  caf::reacts_to<flush_atom>,
  // The committer's descriptor is readable: a slot write has ended.
  caf::reacts_to<written_atom>,
  // Tells this TPM actor from now on when commits stop and resume.
  caf::reacts_to<watch_atom, tpm_actor>,
  // After a stop: commits the newest state again.
  caf::reacts_to<resume_atom>,
  // vtpmd is about to exit: gives a failing commit little more time.
  caf::reacts_to<drain_atom>,
  // Replies with the counters of commits.
  caf::replies_to<report_atom>::with<commit_report>>
  // Conform to the protocol of the METERED actor.
  ::extend_with<metered_actor>;

/// The KEY_AUTHORITY actor interface.
using key_authority_actor = caf::typed_actor<
  // Replaces the vTPM's record; replies when the old one is gone for good.
  caf::replies_to<replace_atom, tpm::key_record>::with<done_atom>>
  // Conform to the protocol of the METERED actor.
  ::extend_with<metered_actor>;

/// The SUPERVISOR actor interface. Owns every frontend's device and RING.
using supervisor_actor = caf::typed_actor<
  // Something at or below this path of the store changed.
  caf::reacts_to<changed_atom, std::string>,
  // INTERNAL: the names below a node of the backend's directory.
  caf::reacts_to<listed_atom, directory_listing>,
  // INTERNAL: what a device's nodes hold.
  caf::reacts_to<examined_atom, device_nodes>,
  // INTERNAL: the toolstack began to remove the device so long ago that its
  // node may go. The number names the removal.
  caf::reacts_to<remove_atom, frontend_id, std::uint64_t>,
  // INTERNAL: a new device was announced so long ago that its frontend may be
  // connected. The number names the announcement.
  caf::reacts_to<announced_atom, frontend_id, std::uint64_t>,
  // INTERNAL: nobody has been there since the last frontend, of this number,
  // went.
  caf::reacts_to<unused_atom, std::uint64_t>,
  // INTERNAL: a ring of this frontend has ended and had counted this.
  caf::reacts_to<report_atom, frontend_id, frontend_counters>,
  // The primary's next new domid is a restore or a migration, not a boot.
  caf::reacts_to<keep_atom>,
  // Replies with which frontend the TPM's resets follow.
  caf::replies_to<platform_atom>::with<platform_report>,
  // Refuses new frontends, drains every ring and the TPM, then replies.
  caf::replies_to<drain_atom>::with<done_atom>,
  // Replies with who is there and what each has done.
  caf::replies_to<report_atom>::with<frontends_report>>
  // Conform to the protocol of the METERED actor.
  ::extend_with<metered_actor>;

/// The STATS actor interface.
using stats_actor = caf::typed_actor<
  // Includes an actor in reports, under this name, for as long as it lives.
  caf::reacts_to<watch_atom, std::string, metered_actor>,
  // Includes the frontends of this supervisor in reports.
  caf::reacts_to<watch_atom, supervisor_actor>,
  // Asks every watched actor and replies with what came back in time.
  caf::replies_to<report_atom>::with<domain_report>>
  // Conform to the protocol of the METERED actor.
  ::extend_with<metered_actor>;

} // namespace vtpm::actors
