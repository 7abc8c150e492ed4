#pragma once

#include <deque>
#include <memory>
#include <string>
#include <variant>

#include "actors/self.hpp"
#include "actors/worker.hpp"
#include "tpm/engine.hpp"
#include "tpm/shadow.hpp"

namespace vtpm::actors {

/// A command that waits for its turn, and who gets the response.
struct waiting_command {
  command request;
  caf::typed_response_promise<released_response> promise;
};

/// A platform reset that waits for its turn.
struct waiting_reset {
  tpm::startup how;
  caf::typed_response_promise<done_atom> promise;
};

/// What the worker brings back.
struct job_result {
  tpm::execution done;
  /// A reset that did not bring the TPM up again.
  bool failed = false;
};

/// What the worker was asked to do, and where it leaves the result.
struct lent_job {
  /// Counts up; names the job to a cancel that comes later.
  std::uint64_t number;
  std::variant<waiting_command, waiting_reset> what;
  /// A drain ended it early, not its frontend.
  bool interrupted = false;
  /// Written by the worker before it reports, read by us after.
  std::shared_ptr<job_result> result;
};

/// State of the TPM actor. Invariants:
///
/// - while `lent` is set the worker holds the engine, and nothing else calls
///   any of its functions but `cancel`
/// - `queue` is empty unless `lent` is set
/// - the shadow keeps whatever the engine did before anyone else hears of it
/// - at most one waiting command per frontend, because a ring has at most one
///   under way; the queue is first come, first served, so frontends with
///   commands waiting take turns
struct tpm_state {
  static inline const char* name = "tpm";

  std::shared_ptr<tpm::engine> engine;
  response_actor response;
  std::shared_ptr<worker> helper;
  /// Null if there is none.
  std::shared_ptr<tpm::shadow> shadow;
  tpm::generation gen = 0;

  std::optional<lent_job> lent;
  std::deque<std::variant<waiting_command, waiting_reset>> queue;
  /// Set once, by a drain; answered when the engine is prepared for power-off.
  caf::typed_response_promise<done_atom> drained;
  bool draining = false;
  /// Commits have failed for good.
  bool stopped = false;
  /// Commits work again, and everything is to be committed once more as soon as
  /// the engine is back.
  bool cover_pending = false;
  std::uint64_t last_job = 0;
  tpm_report report;

  /// Answers everyone still waiting: CAF 0.17 drops promises in silence.
  ~tpm_state();
};

/// What the TPM actor starts with.
struct tpm_parts {
  /// Powered on.
  std::unique_ptr<tpm::engine> engine;
  /// What the store held.
  tpm::generation gen;
  /// The state, if it is not the store's: committed before any response.
  tpm::snapshot_ptr changed;
  /// Null if there is none.
  std::shared_ptr<tpm::shadow> shadow = nullptr;
};

/// Executes commands one at a time, in the order they come. Expensive ones run
/// on `helper`, which borrows the engine meanwhile.
tpm_actor::behavior_type tpm_executor(self_pointer<tpm_state, tpm_actor> self,
                                      tpm_parts parts, response_actor response,
                                      std::shared_ptr<worker> helper);

} // namespace vtpm::actors
