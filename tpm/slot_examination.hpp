#pragma once

#include <array>
#include <optional>

#include "tpm/aligned_buffer.hpp"
#include "tpm/slot_choice.hpp"
#include "tpm/slot_cipher.hpp"

namespace vtpm::tpm {

/// Both slots as read, and what a key found in them.
struct examination {
  aligned_buffer octets;
  examined_slots slots;
  /// What was sealed, of slots that were opened.
  std::array<std::optional<secret_bytes>, 2> plain;

  byte_view slot(unsigned number) noexcept {
    return octets.span().subspan(number * slot_size, slot_size);
  }

  /// Returns the image in an intact slot.
  byte_view image(unsigned number) noexcept {
    const auto count = slots[number].scan.header->image.count;
    return slot(number).first(count * sector_size);
  }
};

/// Reads and scans both slots, whatever the first one says; no key is needed.
/// What cannot be read is noted; `errc::io` if that is everything.
result<examination> examine(slot_device& device, slot_cipher& cipher);

/// Tries authority `local`'s secret on every slot that is intact.
result<unit> unseal(examination& found, slot_cipher& cipher, byte_view secret);

} // namespace vtpm::tpm
