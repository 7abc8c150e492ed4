#include "actors/key_authority.hpp"

namespace vtpm::actors {

key_authority_actor::behavior_type local_authority(
  self_pointer<local_authority_state, key_authority_actor> self) {
  return {
    [](replace_atom, const tpm::key_record&) { return done_atom_v; },
    [self](stats_atom) { return self->stats(); },
  };
}

} // namespace vtpm::actors
