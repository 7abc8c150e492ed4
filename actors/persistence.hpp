#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "actors/self.hpp"
#include "tpm/committer.hpp"
#include "tpm/state_store.hpp"

namespace vtpm::actors {

/// How long a commit that fails is repeated.
struct retry_policy {
  /// Pause before the first repetition; doubled each time, up to the maximum.
  std::chrono::milliseconds first{50};
  std::chrono::milliseconds most{2000};
  /// Sum of all pauses after which the TPM fails stop.
  std::chrono::milliseconds limit{30000};
  /// The same once vtpmd is about to exit.
  std::chrono::milliseconds drain_limit{1000};
  /// How long the key authority may take to answer.
  std::chrono::milliseconds authority_limit{5000};
};

/// Where a commit stands.
enum class commit_phase : std::uint8_t {
  /// Nothing to do.
  idle,
  /// A `flush_atom` is under way to us, at once or after a pause.
  queued,
  /// The committer writes the inactive slot.
  writing,
  /// The key authority replaces the record.
  replacing,
  /// Failed beyond the limit: nothing is written until told to resume.
  stopped,
};

/// One state change whose requester waits for a receipt.
struct awaited_change {
  tpm::generation needs;
  caf::typed_response_promise<tpm::durable_receipt> promise;
};

/// State of the PERSISTENCE actor. Invariants:
///
/// - one commit at a time: `phase` says where it stands
/// - `newest` is not older than any awaited change
/// - a failed slot write is repeated whole, to the same slot, with `newest`
/// - while a replacement is unresolved neither slot is written and the same
///   record is sent again
struct persistence_state {
  static inline const char* name = "persistence";

  std::unique_ptr<tpm::state_store> store;
  std::unique_ptr<tpm::committer> committer;
  key_authority_actor authority;
  retry_policy retries;

  commit_phase phase = commit_phase::idle;
  std::optional<state_change> newest;
  std::vector<awaited_change> waiting;
  /// Of the commit under way.
  tpm::key_record record;
  /// `record` was sent to the authority and not answered.
  bool unresolved = false;
  std::chrono::steady_clock::time_point started;
  /// Since the last success.
  std::chrono::milliseconds paused{0};
  std::chrono::milliseconds next_pause{0};
  /// Told when commits stop and resume; may be invalid.
  tpm_actor watcher;
  commit_report report;

  /// Answers everyone still waiting: CAF 0.17 drops promises in silence.
  ~persistence_state();
};

/// Makes state changes durable, in groups: whatever arrives while a commit is
/// under way shares the next one, which writes the newest state only. Never
/// blocks.
/// @param committer Its `descriptor` is watched by the caller, who sends
///                  `written_atom` when it is readable.
persistence_actor::behavior_type persistence(
  self_pointer<persistence_state, persistence_actor> self,
  std::unique_ptr<tpm::state_store> store,
  std::unique_ptr<tpm::committer> committer, key_authority_actor authority,
  retry_policy retries);

} // namespace vtpm::actors
