#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "protocol/bytes.hpp"
#include "protocol/version.hpp"
#include "tpm/crypto/aes_gcm.hpp"
#include "tpm/snapshot.hpp"
#include "tpm/state_store.hpp"

// How a slot looks on the disk: state_format.md has the layout, an example and
// the reasons. Pure; no key is known here.

namespace vtpm::tpm {

/// What a disk writes whole or not at all. Real sectors may be larger.
inline constexpr std::size_t sector_size = 512;

inline constexpr std::size_t sectors_per_slot = slot_size / sector_size;

/// An image is a multiple of this, at least: so every image covers the first
/// eight sectors, and any one of them that is readable tells whether another
/// was ever complete there.
inline constexpr std::size_t image_unit = 4096;

inline constexpr std::size_t image_sectors_min = image_unit / sector_size;

/// The frame before a sector's payload: magic, format, slot, version, zero,
/// index, count, peer count, zero, uuid, generation, parent, write.
inline constexpr std::size_t frame_size
  = 4 + 1 + 1 + 1 + 1 + 2 + 2 + 2 + 2 + 16 + 8 + 8 + 8;
static_assert(frame_size == 56);

/// CRC-32C at the end of a sector.
inline constexpr std::size_t crc_size = 4;

inline constexpr std::size_t sector_payload_size
  = sector_size - frame_size - crc_size;
static_assert(sector_payload_size == 452);

inline constexpr std::size_t salt_size = 32;

/// What GCM covers beside the payload: the first sector's frame, the salt and
/// the payload's length.
inline constexpr std::size_t associated_size = frame_size + salt_size + 4;

/// What the first sector's payload starts with: salt, length, tag.
inline constexpr std::size_t slot_header_size
  = salt_size + 4 + aes_256_gcm::tag_size;
static_assert(slot_header_size == 52);

/// The longest payload that a slot takes.
inline constexpr std::size_t sealed_size_max
  = sectors_per_slot * sector_payload_size - slot_header_size;
static_assert(slot_size % image_unit == 0);
static_assert(image_unit % sector_size == 0);
// NV_MEMORY_SIZE of libtpms 0.9 with RSA-3072, and room for what a 2.0 TPM
// keeps beside NV and for this format's own fields.
static_assert(sealed_size_max >= 176832 + 20 * 1024 + 128);

/// Names one writing of a slot: the first octets of its salt.
using write_id = std::array<std::uint8_t, 8>;

/// What all sectors of one image agree about.
struct image_id {
  tpm_version version{};
  uuid id{};
  generation gen = 0;
  /// The acknowledged generation, in the other slot, when this was written.
  generation parent = 0;
  /// How many sectors the image of `parent` has; 0 when there is none.
  std::uint16_t peer_count = 0;
  /// How many sectors this image has.
  std::uint16_t count = 0;
  write_id write{};

  friend bool operator==(const image_id&, const image_id&) = default;
};

/// What opens an image.
struct slot_header {
  image_id image;
  std::array<std::uint8_t, salt_size> salt{};
  std::uint32_t sealed_size = 0;
  aes_256_gcm::tag tag{};
};

/// Returns the size in octets of the image of a payload, or nullopt when it
/// does not fit into a slot.
/// @param alignment What the device asks for; a power of two that divides
///                  `slot_size`.
std::optional<std::size_t> image_size_for(std::size_t sealed_size,
                                          std::size_t alignment) noexcept;

/// Returns what the tag has to cover beside the payload. The tag in `header` is
/// not looked at.
std::array<std::uint8_t, associated_size> associated_data(
  unsigned slot, const slot_header& header) noexcept;

/// Writes an image.
/// @pre `image` has `header.image.count` sectors and `sealed` fits.
void encode_image(unsigned slot, const slot_header& header, byte_view sealed,
                  std::span<std::uint8_t> image) noexcept;

/// What one sector turned out to be.
enum class sector_kind : std::uint8_t {
  /// Nothing but zeros: never written.
  zero,
  /// Of this format, whole, and in its place.
  valid,
  /// Whole, of a format that this version does not know.
  later_format,
  /// Has our magic, but is not whole or not in its place.
  damaged,
  /// Something else.
  foreign,
};

struct scanned_sector {
  sector_kind kind = sector_kind::zero;
  /// Says something when `kind` is `valid`.
  image_id image;
};

/// What one slot turned out to be.
enum class slot_condition : std::uint8_t {
  /// Nothing but zeros.
  empty,
  /// Starts with a complete image.
  intact,
  /// Whole sectors of several writes: a write was cut short, or went on top of
  /// one that was.
  torn,
  /// Written by a later version.
  later_format,
  /// Ours, with sectors that cannot be trusted.
  damaged,
  /// Not ours.
  foreign,
};

/// Returns the enumerator's name, for logs and test output.
const char* to_string(slot_condition condition) noexcept;

struct slot_scan {
  slot_condition condition = slot_condition::empty;
  /// `sectors_per_slot` of them.
  std::vector<scanned_sector> sectors;
  /// Has a value exactly if the slot is intact.
  std::optional<slot_header> header;
};

/// Looks at every sector of a slot.
/// @pre `octets` has `slot_size` octets.
slot_scan scan_slot(unsigned slot, byte_view octets);

/// Returns the payload of an intact slot, still sealed.
/// @pre `header` is what `scan_slot` found in `octets`.
byte_vector gather_sealed(const slot_header& header, byte_view octets);

} // namespace vtpm::tpm
