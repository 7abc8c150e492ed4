#pragma once

#include "actors/self.hpp"

namespace vtpm::actors {

/// State of the KEY_AUTHORITY actor, kind `local`.
struct local_authority_state {
  static inline const char* name = "key_authority";
};

/// The authority without records: every slot's key follows from a secret that
/// never changes, so there is nothing to replace and a commit is one write.
/// It cannot tell an old copy of the state from the newest.
key_authority_actor::behavior_type local_authority(
  self_pointer<local_authority_state, key_authority_actor> self);

} // namespace vtpm::actors
