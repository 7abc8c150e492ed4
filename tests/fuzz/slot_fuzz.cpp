// Goal: whatever is on the disk, opening it neither crashes nor yields a state
// that nobody committed.
// Method: the first octet of the input says how to read the rest: as the
// octets of an otherwise empty disk, or as edits of a disk with four commits on
// it, whose CRCs are then made good again or not.

#include <cstdlib>

#include "protocol/big_endian.hpp"
#include "tests/tpm/lying_disk.hpp"
#include "tpm/crypto/crc32c.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::lying_disk;

namespace {

/// Unlike `assert`, in every build.
void require(bool holds) {
  if (!holds)
    std::abort();
}

const local_key& key() {
  static const auto instance
    = local_key{secret_bytes(local_key::size, std::uint8_t{0x4B})};
  return instance;
}

/// One block long, but for the third, so that leftovers lie behind images.
snapshot state_of(generation gen) {
  const auto octet = static_cast<std::uint8_t>(gen);
  return {secret_bytes(gen == 3 ? 9000 : 100, octet), secret_bytes(gen, octet)};
}

constexpr generation newest = 6;

const byte_vector& committed() {
  static const auto instance = [] {
    lying_disk disk;
    auto store = state_store::create(disk, key(), tpm_version::v2_0, uuid{1});
    require(static_cast<bool>(store));
    for (generation gen = 1; gen <= newest; ++gen) {
      const auto write = (*store)->prepare(gen, state_of(gen));
      require(static_cast<bool>(write));
      disk.write_durably(write->offset, write->data);
      (*store)->acknowledge();
    }
    return disk.visible;
  }();
  return instance;
}

void fix_crc(std::uint8_t* sector) {
  const auto body = byte_view{sector, sector_size - crc_size};
  protocol::store_be(sector + body.size(), crc32c(body));
}

/// Applies edits of five octets each: sector, offset in it, what to flip.
void edit(lying_disk& disk, byte_view edits, bool fix) {
  for (; edits.size() >= 5; edits = edits.subspan(5)) {
    const auto sector
      = protocol::load_be<std::uint16_t>(edits.data()) % (2 * sectors_per_slot);
    const auto offset
      = protocol::load_be<std::uint16_t>(edits.data() + 2) % sector_size;
    auto* octets = disk.visible.data() + sector * sector_size;
    octets[offset] ^= edits[4];
    if (fix)
      fix_crc(octets);
  }
}

/// Copies sectors over each other, edits of four octets each: from, to.
void misplace(lying_disk& disk, byte_view edits) {
  for (; edits.size() >= 4; edits = edits.subspan(4)) {
    const auto from
      = protocol::load_be<std::uint16_t>(edits.data()) % (2 * sectors_per_slot);
    const auto to = protocol::load_be<std::uint16_t>(edits.data() + 2)
      % (2 * sectors_per_slot);
    std::memmove(disk.visible.data() + to * sector_size,
                 disk.visible.data() + from * sector_size, sector_size);
  }
}

/// Opens and returns the generation found; the state must be the committed one.
std::optional<generation> open(lying_disk& disk, bool accept_older) {
  auto opened = state_store::open(disk, key(), std::nullopt, accept_older);
  if (!opened)
    return std::nullopt;
  const auto gen = opened->store->latest().through();
  require(gen >= 1 && gen <= newest);
  const auto expected = state_of(gen);
  require(opened->state->permanent == expected.permanent
          && opened->state->savestate == expected.savestate);
  // What was opened can be gone on from.
  require(
    static_cast<bool>(opened->store->prepare(newest + 1, state_of(newest))));
  return gen;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  if (size == 0)
    return 0;
  const auto rest = byte_view{data + 1, size - 1};
  lying_disk disk;
  switch (data[0] % 4) {
    case 0: {
      const auto half = std::min(rest.size() / 2, slot_size);
      std::copy_n(rest.begin(), half, disk.slot(0).begin());
      std::copy_n(rest.begin() + static_cast<std::ptrdiff_t>(half), half,
                  disk.slot(1).begin());
      for (std::size_t at = 0; at < lying_disk::size; at += sector_size)
        if (disk.visible[at] != 0)
          fix_crc(disk.visible.data() + at);
      require(!open(disk, true));
      break;
    }
    case 1: {
      disk.visible = committed();
      edit(disk, rest, false);
      const auto gen = open(disk, false);
      // Damage is never taken for a write that was cut short.
      require(!gen || *gen == newest);
      open(disk, true);
      break;
    }
    case 2:
      disk.visible = committed();
      edit(disk, rest, true);
      open(disk, false);
      open(disk, true);
      break;
    default:
      disk.visible = committed();
      misplace(disk, rest);
      open(disk, false);
      open(disk, true);
      break;
  }
  return 0;
}
