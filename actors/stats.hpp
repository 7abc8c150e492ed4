#pragma once

#include <map>
#include <string>

#include "actors/self.hpp"

namespace vtpm::actors {

/// State of the STATS actor.
struct stats_state {
  static inline const char* name = "stats";

  /// Keeps CAF from passing the actor's own pointer to the first member.
  stats_state() = default;

  tpm_actor tpm;
  persistence_actor persistence;
  /// Invalid until told.
  supervisor_actor supervisor;

  /// Who is asked, by name; an actor that ends drops out.
  struct watched_actor {
    std::string name;
    metered_actor who;
  };
  std::map<caf::actor_addr, watched_actor> watched;
};

/// Asks everyone what they counted. An actor that does not answer within a
/// second is left out of that report.
stats_actor::behavior_type stats(self_pointer<stats_state, stats_actor> self,
                                 tpm_actor tpm, persistence_actor persistence);

} // namespace vtpm::actors
