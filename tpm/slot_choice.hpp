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
  /// Of the image as written, if the slot is intact.
  std::array<std::uint8_t, 32> digest{};
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

/// Decides as an authority that keeps records does: the slot of which it has
/// the digest is live, and nothing else will do. Refuses with `errc::rollback`
/// if a slot is whole, else with `errc::damage`.
result<unsigned> choose_recorded_slot(
  const examined_slots& slots, const std::array<std::uint8_t, 32>& digest);

/// Returns one sentence on what was found in each slot.
std::string describe(const examined_slots& slots);

} // namespace vtpm::tpm
