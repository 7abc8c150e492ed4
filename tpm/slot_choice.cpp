#include "tpm/slot_choice.hpp"

#include <algorithm>

namespace vtpm::tpm {

namespace {

const image_id& image_of(const examined_slot& slot) noexcept {
  return slot.scan.header->image;
}

bool is_intact(const examined_slot& slot) noexcept {
  return slot.scan.condition == slot_condition::intact;
}

bool has_condition(const examined_slots& slots, slot_condition condition) {
  return slots[0].scan.condition == condition
    || slots[1].scan.condition == condition;
}

/// Returns whether `sector` may be all that damage left of something else. A
/// sector that has held an image never turns to zeros again.
bool is_suspect(const scanned_sector& sector, std::size_t index,
                const image_id& intact) noexcept {
  switch (sector.kind) {
    case sector_kind::valid:
      return sector.image.id != intact.id;
    case sector_kind::zero:
      return index < intact.peer_count;
    default:
      return true;
  }
}

/// Returns whether the slot that is not intact may have held an acknowledged
/// image that is newer than the other slot's. Such an image was written whole,
/// after `intact` was acknowledged; one sector that is certainly not part of it
/// is the proof that it never was complete.
bool may_be_newer(const std::vector<scanned_sector>& sectors,
                  const image_id& intact) noexcept {
  std::size_t first = 0;
  while (first < image_sectors_min && is_suspect(sectors[first], first, intact))
    ++first;
  if (first == image_sectors_min)
    return true;
  const auto& candidate = sectors[first];
  if (candidate.kind != sector_kind::valid
      || candidate.image.parent != intact.gen)
    return false;
  for (auto i = first; i < candidate.image.count; ++i)
    if (!is_suspect(sectors[i], i, intact)
        && (sectors[i].kind != sector_kind::valid
            || sectors[i].image != candidate.image))
      return false;
  return true;
}

/// Returns whether some sector was written when the other slot held more than
/// it holds now.
bool knows_newer(const std::vector<scanned_sector>& sectors,
                 const image_id& intact) noexcept {
  return std::any_of(
    sectors.begin(), sectors.end(), [&intact](const scanned_sector& sector) {
      return sector.kind == sector_kind::valid && sector.image.id == intact.id
        && sector.image.parent > intact.gen;
    });
}

/// Returns whether all that is there is one first write, cut short.
bool is_cut_short_creation(const examined_slots& slots) noexcept {
  const auto& sectors = slots[0].scan.sectors;
  return slots[0].scan.condition == slot_condition::torn
    && slots[1].scan.condition == slot_condition::empty
    && std::all_of(sectors.begin(), sectors.end(),
                   [](const scanned_sector& sector) {
                     return sector.kind == sector_kind::zero
                       || sector.image.parent == 0;
                   });
}

std::string describe_slot(unsigned number, const examined_slot& slot) {
  auto text = "slot " + std::to_string(number);
  if (slot.unreadable && !is_intact(slot))
    return text + " cannot be read in full";
  switch (slot.scan.condition) {
    case slot_condition::empty:
      return text + " is empty";
    case slot_condition::intact:
      text += slot.authentic ? " holds" : " is whole and was not opened,";
      return text + " generation " + std::to_string(image_of(slot).gen);
    case slot_condition::torn:
      return text + " holds a write that was cut short";
    case slot_condition::later_format:
      return text + " was written by a later vtpmd";
    case slot_condition::damaged:
      return text + " is damaged";
    case slot_condition::foreign:
      return text + " holds something that is not vtpmd's";
  }
  return text;
}

result<slot_choice> choose_from_none(const examined_slots& slots) {
  const auto found = describe(slots);
  const auto damaged = has_condition(slots, slot_condition::damaged);
  const auto torn = has_condition(slots, slot_condition::torn);
  if (slots[0].unreadable || slots[1].unreadable)
    return error{errc::damage, "no whole state can be read: " + found};
  if (is_cut_short_creation(slots))
    return error{errc::not_a_state,
                 "no TPM in it: its creation was cut short before anything was "
                 "acknowledged; remove it and create it again"};
  if (damaged || torn)
    return error{errc::damage,
                 "neither slot holds a whole state, restore a backup: "
                   + found};
  if (has_condition(slots, slot_condition::foreign))
    return error{errc::not_a_state, "not a vTPM state: " + found};
  return error{errc::not_a_state,
               "no TPM in it: both slots are empty, create one first"};
}

/// Decides with one slot intact and the other not.
result<slot_choice> choose_from_one(const examined_slots& slots,
                                    unsigned intact, bool accept_older) {
  const auto& other = slots[1 - intact].scan.sectors;
  const auto& image = image_of(slots[intact]);
  if (!slots[intact].authentic)
    return error{errc::wrong_key,
                 "this key does not open the state: " + describe(slots)};
  const auto rolled_back = knows_newer(other, image);
  if (!rolled_back && !may_be_newer(other, image))
    return slot_choice{intact, false};
  if (accept_older)
    return slot_choice{intact, true};
  if (rolled_back)
    return error{errc::rollback,
                 "an older copy of the state was put back, start with "
                 "--accept-older to go on from it: "
                   + describe(slots)};
  return error{errc::damage,
               "the damaged slot may hold the newest state; restore a backup "
               "or start with --accept-older to go on from the other: "
                 + describe(slots)};
}

/// Decides with both slots intact.
result<slot_choice> choose_from_two(const examined_slots& slots,
                                    bool accept_older) {
  const auto newer = image_of(slots[0]).gen > image_of(slots[1]).gen ? 0u : 1u;
  const auto& top = image_of(slots[newer]);
  const auto& below = image_of(slots[1 - newer]);
  if (!slots[0].authentic && !slots[1].authentic)
    return error{errc::wrong_key,
                 "this key does not open the state: " + describe(slots)};
  if (top.id != below.id || top.version != below.version
      || top.gen == below.gen)
    return error{errc::damage,
                 "the slots are not of one history: " + describe(slots)};
  if (!slots[newer].authentic) {
    if (accept_older)
      return slot_choice{1 - newer, true};
    return error{errc::damage,
                 "the newest state was tampered with; restore a backup or "
                 "start with --accept-older to go on from the other: "
                   + describe(slots)};
  }
  if (top.parent == below.gen)
    return slot_choice{newer, false};
  if (accept_older)
    return slot_choice{newer, true};
  return error{errc::rollback,
               "an older copy of one slot was put back, start with "
               "--accept-older to go on from the other: "
                 + describe(slots)};
}

} // namespace

result<slot_choice> choose_slot(const examined_slots& slots,
                                bool accept_older) {
  if (has_condition(slots, slot_condition::later_format))
    return error{errc::not_a_state,
                 "the state needs a later version of vtpmd: "
                   + describe(slots)};
  if (is_intact(slots[0]) && is_intact(slots[1]))
    return choose_from_two(slots, accept_older);
  if (is_intact(slots[0]) || is_intact(slots[1]))
    return choose_from_one(slots, is_intact(slots[0]) ? 0 : 1, accept_older);
  return choose_from_none(slots);
}

result<unsigned> choose_recorded_slot(
  const examined_slots& slots, const std::array<std::uint8_t, 32>& digest) {
  for (const auto slot : {0u, 1u})
    if (is_intact(slots[slot]) && slots[slot].digest == digest)
      return slot;
  if (has_condition(slots, slot_condition::later_format))
    return error{errc::not_a_state,
                 "the state needs a later version of vtpmd: "
                   + describe(slots)};
  if (is_intact(slots[0]) || is_intact(slots[1]))
    return error{errc::rollback,
                 "neither slot is the one that the key authority has on "
                 "record: an older copy was put back, or the newest slot is "
                 "damaged; bring back the newest state: "
                   + describe(slots)};
  return error{errc::damage,
               "neither slot holds a whole state, restore a backup: "
                 + describe(slots)};
}

std::string describe(const examined_slots& slots) {
  return describe_slot(0, slots[0]) + "; " + describe_slot(1, slots[1]);
}

} // namespace vtpm::tpm
