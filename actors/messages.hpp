#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/error.hpp>
#include <caf/type_id.hpp>

#include "actors/histogram.hpp"
#include "actors/locality_policy.hpp"
#include "actors/metered.hpp"
#include "protocol/bytes.hpp"
#include "tpm/engine.hpp"
#include "tpm/shadow.hpp"
#include "tpm/state_store.hpp"
#include "xenio/types.hpp"

namespace vtpm::actors {

/// Names one frontend: a guest domain and its device handle.
struct frontend_id {
  xenio::domid domain;
  std::uint32_t handle;

  friend auto operator<=>(const frontend_id&, const frontend_id&) = default;
};

/// Returns "DOMID/HANDLE".
std::string to_string(const frontend_id& id);

/// Returns the shadow's name for a frontend.
inline tpm::frontend_key key_of(const frontend_id& id) noexcept {
  return {id.domain, id.handle};
}

/// Why an actor has no response for another. Guests see an error packet.
enum class domain_errc : std::uint8_t {
  /// The command was cancelled before it ran: it had no effect.
  cancelled = 1,
  /// The TPM has failed stop; the command did not run.
  stopped,
  /// vtpmd is about to exit; the command did not run and may be taken again by
  /// its successor.
  draining,
  /// The TPM was reset and did not come up again.
  engine_failed,
  /// The command ran and its state change could not be made durable: its
  /// outcome is unknown.
  unknown_outcome,
};

/// Returns one sentence for the operator: what `reason` means, and what to do
/// about it where something can be done.
std::string explain(const caf::error& reason);

/// Who asks for control.
enum class control_caller : std::uint8_t {
  /// Whoever may open the control socket.
  operating,
  /// A frontend at the administrator's locality.
  ring,
};

/// One command, copied out of guest memory before anyone looked at it, with a
/// locality that the policy allows.
struct command {
  frontend_id source;
  std::uint8_t locality;
  byte_vector octets;
};

/// A response that an earlier vtpmd decided on and did not deliver.
struct recalled_response {
  byte_vector octets;
};

/// A state to be made durable. Covers every generation below it.
struct state_change {
  tpm::generation gen;
  tpm::snapshot_ptr state;
};

/// What the TPM decided: octets for the guest, the generation the TPM had
/// reached then, and the state if this command changed it. Its response may
/// reveal everything up to `gen`, changed by this command or an earlier one.
struct outcome {
  byte_vector response;
  tpm::generation gen;
  tpm::snapshot_ptr changed;
};

/// A response the guest may see. Cannot be made without the proof that all it
/// may reveal is durable.
class released_response {
public:
  /// @param needs The generation the TPM had reached when it decided.
  /// @pre `receipt` covers it.
  released_response(byte_vector octets, tpm::generation needs,
                    tpm::durable_receipt receipt)
    : octets_(std::move(octets)) {
    if (receipt.through() < needs)
      std::abort(); // a bug, in release builds too: better no TPM than this
  }

  const byte_vector& octets() const noexcept {
    return octets_;
  }

private:
  byte_vector octets_;
};

// -- the store ----------------------------------------------------------------

/// The children of one node of the backend's directory.
struct directory_listing {
  std::string path;
  std::vector<std::string> names;
};

/// What one frontend's nodes hold; nullopt is absent or unreadable.
struct device_nodes {
  using value = std::optional<std::string>;

  frontend_id id;
  // Of the backend's node, which the guest cannot write.
  value frontend_path;
  value online;
  value backend_state;
  value uuid;
  // Our own.
  value own_domid;
  // Of the frontend's node: the guest's word. Absent until its path is known.
  value frontend_state;
  value ring_ref;
  value event_channel;
  value feature_protocol_v2;
};

// -- reports ------------------------------------------------------------------

/// How far a frontend's device has come.
enum class frontend_state : std::uint8_t {
  /// For the frontend to offer its ring.
  waiting,
  /// The TPM is reset before this frontend is connected.
  resetting,
  connected,
  /// Its offer cannot be used.
  refused,
  /// The toolstack removes it.
  removed,
};

/// Returns the enumerator's name.
const char* to_string(frontend_state state) noexcept;

/// What one frontend did, or several together.
struct frontend_counters {
  std::uint64_t commands = 0;
  /// Responses whose result is not zero, the engine's and ours.
  std::uint64_t errors = 0;
  /// Packets refused for their form: lengths, tags.
  std::uint64_t malformed = 0;
  /// Localities refused.
  std::uint64_t denied = 0;
  /// Offers of a ring that could not be used.
  std::uint64_t refused = 0;
  std::uint64_t cancels = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  /// From taking a request out of the page to ringing the doorbell.
  histogram latency;

  frontend_counters& operator+=(const frontend_counters& more) noexcept;
};

/// One frontend, and its counters since its device appeared.
struct frontend_report : frontend_counters {
  frontend_id id;
  std::string uuid;
  frontend_state state = frontend_state::connected;
  /// Its reboots reset the TPM.
  bool primary = false;
};

/// Who is there, and what came of those who went.
struct frontends_report {
  std::vector<frontend_report> present;
  /// How many devices are gone, and their counters together.
  std::uint64_t gone = 0;
  frontend_counters gone_counters;
};

/// The persistence actor's counters.
struct commit_report {
  std::uint64_t commits = 0;
  /// State changes that those commits covered.
  std::uint64_t changes = 0;
  /// Slot writes that failed and were repeated.
  std::uint64_t retries = 0;
  /// Set while a commit keeps failing, and after the limit.
  bool failing = false;
  bool stopped = false;
  /// From the start of a slot write to its acknowledgement.
  histogram latency;
  tpm::store_status store;
};

/// The TPM actor's counters.
struct tpm_report {
  tpm::generation gen = 0;
  std::uint64_t commands = 0;
  std::uint64_t offloaded = 0;
  std::uint64_t resets = 0;
  /// Commands waiting while the engine is lent.
  std::size_t queued = 0;
  /// The ordinal's name while the worker runs one, else empty.
  std::string running;
  /// No more commands are run.
  bool stopped = false;
  /// A successor would find what a reset loses.
  bool shadowed = false;
};

/// Which frontend the TPM's resets follow.
struct platform_report {
  /// The rule's text, or "uuid=" and the only one seen; empty: nobody.
  std::string primary;
  /// Of the primary when it was connected last.
  std::optional<xenio::domid> domain;
  bool keep_next = false;
  /// TPM resets because the primary came with a new domid.
  std::uint64_t resets = 0;
};

/// Every actor's counters, by actor name, and what the domain adds.
struct domain_report {
  std::vector<std::pair<std::string, actor_stats>> actors;
  frontends_report frontends;
  commit_report commits;
  tpm_report tpm;
  platform_report platform;
};

} // namespace vtpm::actors

// All actors share one process, so no message is ever serialized.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(vtpm::actors::actor_stats)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(vtpm::actors::command)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(vtpm::actors::commit_report)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(vtpm::actors::control_caller)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(vtpm::actors::device_nodes)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(vtpm::actors::directory_listing)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(vtpm::actors::domain_report)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(vtpm::actors::frontend_id)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(vtpm::actors::frontend_identity)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(vtpm::actors::frontend_counters)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(vtpm::actors::frontends_report)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(vtpm::actors::outcome)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(vtpm::actors::platform_report)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(vtpm::actors::recalled_response)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(vtpm::actors::released_response)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(vtpm::actors::state_change)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(vtpm::actors::tpm_report)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(vtpm::tpm::durable_receipt)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(vtpm::tpm::key_record)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(vtpm::tpm::startup)

CAF_ERROR_CODE_ENUM(vtpm::actors::domain_errc, "domain")

// Atom texts: at most ten characters of [0-9A-Za-z_ ].
CAF_BEGIN_TYPE_ID_BLOCK(vtpm, caf::first_custom_type_id)

CAF_ADD_ATOM(vtpm, vtpm::actors, announced_atom, "announced")
CAF_ADD_ATOM(vtpm, vtpm::actors, cancel_atom, "cancel")
CAF_ADD_ATOM(vtpm, vtpm::actors, changed_atom, "changed")
CAF_ADD_ATOM(vtpm, vtpm::actors, commit_atom, "commit")
CAF_ADD_ATOM(vtpm, vtpm::actors, control_atom, "control")
CAF_ADD_ATOM(vtpm, vtpm::actors, done_atom, "done")
CAF_ADD_ATOM(vtpm, vtpm::actors, drain_atom, "drain")
CAF_ADD_ATOM(vtpm, vtpm::actors, examined_atom, "examined")
CAF_ADD_ATOM(vtpm, vtpm::actors, execute_atom, "execute")
CAF_ADD_ATOM(vtpm, vtpm::actors, finished_atom, "finished")
CAF_ADD_ATOM(vtpm, vtpm::actors, flush_atom, "flush")
CAF_ADD_ATOM(vtpm, vtpm::actors, keep_atom, "keep")
CAF_ADD_ATOM(vtpm, vtpm::actors, listed_atom, "listed")
CAF_ADD_ATOM(vtpm, vtpm::actors, notify_atom, "notify")
CAF_ADD_ATOM(vtpm, vtpm::actors, platform_atom, "platform")
CAF_ADD_ATOM(vtpm, vtpm::actors, recall_atom, "recall")
CAF_ADD_ATOM(vtpm, vtpm::actors, release_atom, "release")
CAF_ADD_ATOM(vtpm, vtpm::actors, remove_atom, "remove")
CAF_ADD_ATOM(vtpm, vtpm::actors, replace_atom, "replace")
CAF_ADD_ATOM(vtpm, vtpm::actors, report_atom, "report")
CAF_ADD_ATOM(vtpm, vtpm::actors, reset_atom, "reset")
CAF_ADD_ATOM(vtpm, vtpm::actors, resume_atom, "resume")
CAF_ADD_ATOM(vtpm, vtpm::actors, stats_atom, "stats")
CAF_ADD_ATOM(vtpm, vtpm::actors, stop_atom, "stop")
CAF_ADD_ATOM(vtpm, vtpm::actors, unused_atom, "unused")
CAF_ADD_ATOM(vtpm, vtpm::actors, watch_atom, "watch")
CAF_ADD_ATOM(vtpm, vtpm::actors, written_atom, "written")

CAF_END_TYPE_ID_BLOCK(vtpm)
