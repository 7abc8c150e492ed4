#pragma once

#include <array>
#include <optional>

#include "tpm/slot_choice.hpp"

namespace vtpm::tpm {

/// What can be said of one slot to anyone: no secret.
struct slot_report {
  slot_condition condition = slot_condition::empty;
  /// The device refused to read some of it.
  bool unreadable = false;
  bool live = false;
  /// The image, its size in octets and the length of what is sealed in it; of
  /// an intact slot.
  std::optional<image_id> image;
  std::size_t image_size = 0;
  std::size_t sealed_size = 0;
  /// SHA-256 of the image as written; zeros unless the slot is intact.
  std::array<std::uint8_t, 32> digest{};
  /// Whether the key opens it; nullopt if there is no key, or no image.
  std::optional<bool> opens;
};

struct state_report {
  std::array<slot_report, 2> slots;
  /// Why no vtpmd would start from this; nullopt if one would.
  std::optional<error> refusal;
};

/// Looks at both slots and decides as authority `local` does, without changing
/// anything.
/// @param key May be null: then every intact slot is taken for genuine.
result<state_report> inspect_state(slot_device& device, const local_key* key);

} // namespace vtpm::tpm
