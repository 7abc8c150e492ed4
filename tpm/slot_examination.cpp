#include "tpm/slot_examination.hpp"

#include <algorithm>
#include <utility>

namespace vtpm::tpm {

namespace {

/// What reading a slot gave.
struct slot_reading {
  bool complete = true;
  /// Why something could not be read.
  error reason{};
  bool nothing = false;
};

/// Reads a slot, and what of it can be read when not all can.
slot_reading read_slot(slot_device& device, unsigned slot,
                       std::span<std::uint8_t> target) {
  const auto start = std::uint64_t{slot} * slot_size;
  if (device.read(start, target))
    return {};
  auto out = slot_reading{false, {}, true};
  const auto step = std::max(device.alignment(), sector_size);
  for (std::size_t offset = 0; offset < slot_size; offset += step) {
    const auto block = target.subspan(offset, step);
    auto done = device.read(start + offset, block);
    if (done) {
      out.nothing = false;
      continue;
    }
    // Neither zeros nor a frame: what could not be read proves nothing.
    std::fill(block.begin(), block.end(), std::uint8_t{0xFF});
    out.reason = done.error();
  }
  return out;
}

result<unit> check_alignment(const slot_device& device) {
  const auto alignment = device.alignment();
  if (alignment >= sector_size && alignment <= slot_size
      && (alignment & (alignment - 1)) == 0)
    return unit{};
  return error{errc::unusable,
               "the device wants writes aligned to " + std::to_string(alignment)
                 + " octets; a power of two from 512 to "
                 + std::to_string(slot_size) + " is needed"};
}

} // namespace

result<examination> examine(slot_device& device, slot_cipher& cipher) {
  auto aligned = check_alignment(device);
  if (!aligned)
    return aligned.error();
  auto out
    = examination{aligned_buffer{device.alignment(), 2 * slot_size}, {}, {}};
  auto nothing = true;
  auto reason = error{};
  for (unsigned i = 0; i < 2; ++i) {
    auto reading = read_slot(
      device, i, out.octets.span().subspan(i * slot_size, slot_size));
    nothing = nothing && reading.nothing;
    if (!reading.complete)
      reason = std::move(reading.reason);
    auto& slot = out.slots[i];
    slot.unreadable = !reading.complete;
    slot.scan = scan_slot(i, out.slot(i));
    if (!slot.scan.header)
      continue;
    auto digest = cipher.digest(out.image(i));
    if (!digest)
      return digest.error();
    slot.digest = *digest;
  }
  if (nothing)
    return reason;
  return out;
}

result<unit> unseal(examination& found, slot_cipher& cipher, byte_view secret) {
  for (unsigned i = 0; i < 2; ++i) {
    const auto& header = found.slots[i].scan.header;
    if (!header)
      continue;
    auto key = cipher.derive_key(secret, i, *header);
    if (!key)
      return key.error();
    auto plain = cipher.open(*key, i, *header, found.slot(i));
    if (!plain)
      return plain.error();
    found.plain[i] = *std::move(plain);
    found.slots[i].authentic = found.plain[i].has_value();
  }
  return unit{};
}

} // namespace vtpm::tpm
