#pragma once

#include <functional>

#include "actors/self.hpp"
#include "tpm/engine.hpp"

namespace vtpm::deploy {

/// State of the CONTROL actor.
struct control_state {
  static inline const char* name = "control";

  /// Keeps CAF from passing the actor's own pointer to the first member.
  control_state() = default;

  actors::stats_actor stats;
  actors::tpm_actor tpm;
  /// What to do after the TPM_Init of a reset.
  tpm::startup startup;
  /// Begins the orderly end of the process; returns at once.
  std::function<void()> shut_down;
  /// Announces that the primary's next new domid is no boot.
  std::function<void()> keep_next;
};

/// Carries out what control_request.hpp describes.
actors::control_actor::behavior_type control(
  actors::self_pointer<control_state, actors::control_actor> self,
  actors::stats_actor stats, actors::tpm_actor tpm, tpm::startup startup,
  std::function<void()> shut_down, std::function<void()> keep_next);

} // namespace vtpm::deploy
