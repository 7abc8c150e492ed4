#pragma once

#include <array>
#include <string>

#include "tpm/slot_format.hpp"

namespace vtpm::tpm {

/// One slot, looked at in every way there is.
struct examined_slot {
  slot_scan scan;
  /// The key opens what is in it; `false` unless it is intact.
  bool authentic = false;
  /// The device refused to read some of it.
  bool unreadable = false;
};

/// Both slots, by number.
using examined_slots = std::array<examined_slot, 2>;

/// Which slot to go on from.
struct slot_choice {
  unsigned live;
  /// Only `accept_older` made it so: the other slot may hold, or have held,
  /// what was acknowledged later.
  bool older_accepted;
};

/// Decides as authority `local` does: state_format.md, "Which slot is live".
result<slot_choice> choose_slot(const examined_slots& slots, bool accept_older);

/// Returns one sentence on what was found in each slot.
std::string describe(const examined_slots& slots);

} // namespace vtpm::tpm
