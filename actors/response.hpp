#pragma once

#include <deque>

#include "actors/self.hpp"

namespace vtpm::actors {

/// A response that may not leave yet.
struct held_response {
  tpm::generation needs;
  byte_vector octets;
  caf::typed_response_promise<released_response> promise;
};

/// State of the RESPONSE actor. Invariants:
///
/// - every held response has `latest.through() < needs`
/// - `held` is ordered by `needs`, because the TPM decides in that order
/// - `held` is empty unless `asked` is positive: someone will release it
struct response_state {
  static inline const char* name = "response";

  /// The best proof so far.
  tpm::durable_receipt latest;

  std::deque<held_response> held;

  /// Commits asked for and not answered.
  std::size_t asked = 0;

  /// Answers everyone still waiting: CAF 0.17 drops promises in silence.
  ~response_state();
};

/// Holds each response back until `persistence` proved durable all that it may
/// reveal: its own state change and every one before it. A command that changed
/// nothing waits too while an earlier change is under way; otherwise a guest
/// could read what a power cut then undoes.
/// @param known What the store held when it was opened.
response_actor::behavior_type response(
  self_pointer<response_state, response_actor> self,
  persistence_actor persistence, tpm::durable_receipt known);

} // namespace vtpm::actors
