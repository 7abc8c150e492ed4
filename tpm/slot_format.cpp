#include "tpm/slot_format.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "protocol/big_endian.hpp"
#include "tpm/crypto/crc32c.hpp"

namespace vtpm::tpm {

using protocol::load_be;
using protocol::store_be;

namespace {

/// ASCII: "vTPM slot sector" in four letters.
constexpr auto magic = std::array<std::uint8_t, 4>{'v', 'T', 's', 's'};

/// A later version changes this number. Magic, number and CRC stay where they
/// are, so that every version can tell a later one from damage.
constexpr std::uint8_t format_version = 1;

constexpr std::size_t crc_offset = sector_size - crc_size;

/// Appends octets and returns the position after them.
template <class Octets>
std::uint8_t* append(std::uint8_t* target, const Octets& octets) noexcept {
  return std::copy(octets.begin(), octets.end(), target);
}

void encode_frame(unsigned slot, const image_id& image, std::size_t index,
                  std::uint8_t* target) noexcept {
  auto* at = append(target, magic);
  at = store_be(at, format_version);
  at = store_be(at, static_cast<std::uint8_t>(slot));
  at = store_be(at, static_cast<std::uint8_t>(image.version));
  at = store_be(at, std::uint8_t{0});
  at = store_be(at, static_cast<std::uint16_t>(index));
  at = store_be(at, image.count);
  at = store_be(at, image.peer_count);
  at = store_be(at, std::uint16_t{0});
  at = append(at, image.id);
  at = store_be(at, image.gen);
  at = store_be(at, image.parent);
  at = append(at, image.write);
  assert(at == target + frame_size);
}

/// The limits that every image keeps; one that does not is not ours, whatever
/// its CRC says.
bool is_plausible(const image_id& image, std::size_t index) noexcept {
  return (image.version == tpm_version::v1_2
          || image.version == tpm_version::v2_0)
    && image.count >= image_sectors_min && image.count <= sectors_per_slot
    && image.count % image_sectors_min == 0
    && image.peer_count <= sectors_per_slot && index < image.count
    && image.gen > image.parent;
}

scanned_sector scan_sector(unsigned slot, std::size_t index,
                           byte_view sector) noexcept {
  const auto* at = sector.data();
  if (!std::equal(magic.begin(), magic.end(), at)) {
    // All octets are zero if the first is and each equals the next.
    const auto zero
      = *at == 0 && std::memcmp(at, at + 1, sector.size() - 1) == 0;
    return {zero ? sector_kind::zero : sector_kind::foreign, {}};
  }
  if (load_be<std::uint32_t>(at + crc_offset)
      != crc32c(sector.first(crc_offset)))
    return {sector_kind::damaged, {}};
  if (at[4] != format_version)
    return {sector_kind::later_format, {}};
  auto image = image_id{};
  image.version = static_cast<tpm_version>(at[6]);
  image.count = load_be<std::uint16_t>(at + 10);
  image.peer_count = load_be<std::uint16_t>(at + 12);
  std::copy_n(at + 16, image.id.size(), image.id.begin());
  image.gen = load_be<std::uint64_t>(at + 32);
  image.parent = load_be<std::uint64_t>(at + 40);
  std::copy_n(at + 48, image.write.size(), image.write.begin());
  // Written back it must come out the same: right slot, right index, zeros
  // where there are zeros.
  auto frame = std::array<std::uint8_t, frame_size>{};
  encode_frame(slot, image, index, frame.data());
  if (!std::equal(frame.begin(), frame.end(), at)
      || !is_plausible(image, index))
    return {sector_kind::damaged, {}};
  return {sector_kind::valid, image};
}

/// Reads what follows the first sector's frame.
std::optional<slot_header> decode_header(const image_id& image,
                                         byte_view first_sector) noexcept {
  auto out = slot_header{};
  out.image = image;
  const auto* at = first_sector.data() + frame_size;
  std::copy_n(at, salt_size, out.salt.begin());
  out.sealed_size = load_be<std::uint32_t>(at + salt_size);
  std::copy_n(at + salt_size + 4, out.tag.size(), out.tag.begin());
  const auto capacity = image.count * sector_payload_size - slot_header_size;
  if (out.sealed_size > capacity
      || !std::equal(image.write.begin(), image.write.end(), out.salt.begin()))
    return std::nullopt;
  return out;
}

/// Returns whether the slot starts with a complete image.
bool is_complete(const std::vector<scanned_sector>& sectors) noexcept {
  const auto& first = sectors.front();
  const auto belongs = [&first](const scanned_sector& sector) {
    return sector.kind == sector_kind::valid && sector.image == first.image;
  };
  return first.kind == sector_kind::valid
    && std::all_of(sectors.begin(), sectors.begin() + first.image.count,
                   belongs);
}

slot_condition judge(const std::vector<scanned_sector>& sectors) noexcept {
  const auto has = [&sectors](sector_kind kind) {
    return std::any_of(
      sectors.begin(), sectors.end(),
      [kind](const scanned_sector& sector) { return sector.kind == kind; });
  };
  if (has(sector_kind::later_format))
    return slot_condition::later_format;
  const auto ours = has(sector_kind::valid) || has(sector_kind::damaged);
  if (has(sector_kind::damaged) || (ours && has(sector_kind::foreign)))
    return slot_condition::damaged;
  if (ours)
    return slot_condition::torn;
  return has(sector_kind::foreign) ? slot_condition::foreign
                                   : slot_condition::empty;
}

} // namespace

const char* to_string(slot_condition condition) noexcept {
  switch (condition) {
    case slot_condition::empty:
      return "empty";
    case slot_condition::intact:
      return "intact";
    case slot_condition::torn:
      return "torn";
    case slot_condition::later_format:
      return "later_format";
    case slot_condition::damaged:
      return "damaged";
    case slot_condition::foreign:
      return "foreign";
  }
  return "unknown tpm::slot_condition";
}

std::optional<std::size_t> image_size_for(std::size_t sealed_size,
                                          std::size_t alignment) noexcept {
  if (sealed_size > sealed_size_max)
    return std::nullopt;
  const auto stream_size = slot_header_size + sealed_size;
  const auto sectors
    = (stream_size + sector_payload_size - 1) / sector_payload_size;
  const auto step = std::max(alignment, image_unit);
  assert(slot_size % step == 0);
  return (sectors * sector_size + step - 1) / step * step;
}

std::array<std::uint8_t, associated_size> associated_data(
  unsigned slot, const slot_header& header) noexcept {
  auto out = std::array<std::uint8_t, associated_size>{};
  encode_frame(slot, header.image, 0, out.data());
  auto* at = append(out.data() + frame_size, header.salt);
  at = store_be(at, header.sealed_size);
  assert(at == out.data() + out.size());
  return out;
}

void encode_image(unsigned slot, const slot_header& header, byte_view sealed,
                  std::span<std::uint8_t> image) noexcept {
  assert(image.size() == header.image.count * sector_size);
  assert(sealed.size() == header.sealed_size);
  auto in_use = slot_header_size;
  auto* at = append(image.data() + frame_size, header.salt);
  at = store_be(at, header.sealed_size);
  append(at, header.tag);
  for (std::size_t index = 0; index < header.image.count; ++index) {
    auto* sector = image.data() + index * sector_size;
    encode_frame(slot, header.image, index, sector);
    const auto room = sector_payload_size - in_use;
    const auto part = sealed.first(std::min(room, sealed.size()));
    auto* end = append(sector + frame_size + in_use, part);
    // What an earlier image left in the buffer must not go to the disk again.
    std::fill(end, sector + crc_offset, std::uint8_t{0});
    store_be(sector + crc_offset, crc32c({sector, crc_offset}));
    sealed = sealed.subspan(part.size());
    in_use = 0;
  }
  assert(sealed.empty());
}

slot_scan scan_slot(unsigned slot, byte_view octets) {
  assert(octets.size() == slot_size);
  auto out = slot_scan{};
  out.sectors.reserve(sectors_per_slot);
  for (std::size_t index = 0; index < sectors_per_slot; ++index)
    out.sectors.push_back(scan_sector(
      slot, index, octets.subspan(index * sector_size, sector_size)));
  if (!is_complete(out.sectors)) {
    out.condition = judge(out.sectors);
    return out;
  }
  out.header = decode_header(out.sectors.front().image, octets);
  out.condition = out.header ? slot_condition::intact : slot_condition::damaged;
  return out;
}

byte_vector gather_sealed(const slot_header& header, byte_view octets) {
  auto out = byte_vector{};
  out.reserve(header.sealed_size);
  auto in_use = slot_header_size;
  for (auto sector = octets; out.size() < header.sealed_size;
       sector = sector.subspan(sector_size)) {
    const auto payload
      = sector.subspan(frame_size, sector_payload_size).subspan(in_use);
    const auto part = payload.first(
      std::min(payload.size(), header.sealed_size - out.size()));
    out.insert(out.end(), part.begin(), part.end());
    in_use = 0;
  }
  return out;
}

} // namespace vtpm::tpm
