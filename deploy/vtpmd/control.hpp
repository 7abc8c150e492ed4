#pragma once

#include <cstdint>
#include <functional>

#include "actors/self.hpp"
#include "tpm/engine.hpp"

namespace vtpm::deploy {

/// How the process is to end.
enum class ending : std::uint8_t {
  /// In order, and that is that.
  stop,
  /// In order, to be started again.
  restart,
  /// At once, without what is not stored, to be started again.
  abandon,
};

/// What the CONTROL actor is made of.
struct control_parts {
  actors::stats_actor stats;
  actors::tpm_actor tpm;
  actors::persistence_actor store;
  /// What to do after the TPM_Init of a reset.
  tpm::startup startup;
  /// Begins the end of the process; returns at once.
  std::function<void(ending)> end;
  /// Announces that the primary's next new domid is no boot.
  std::function<void()> keep_next;
};

/// State of the CONTROL actor.
struct control_state {
  static inline const char* name = "control";

  /// Keeps CAF from passing the actor's own pointer to the first member.
  control_state() = default;

  control_parts parts;
};

/// Carries out what control_request.hpp describes.
actors::control_actor::behavior_type control(
  actors::self_pointer<control_state, actors::control_actor> self,
  control_parts parts);

} // namespace vtpm::deploy
