#include "tpm/slot_format.hpp"

#include <iterator>
#include <numeric>

#include "protocol/big_endian.hpp"
#include "tests/tpm/hex.hpp"
#include "tests/tpm/store_fixture.hpp"
#include "tpm/crypto/crc32c.hpp"
#include "tpm/crypto/hkdf.hpp"
#include "tpm/slot_payload.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::hex_in_document;
using vtpm::tests::to_hex;

namespace {

/// The image of state_format.md's example.
struct example {
  static constexpr unsigned slot = 1;

  slot_header header;
  byte_vector sealed;
  byte_vector octets = byte_vector(slot_size);

  explicit example(std::size_t sealed_size = 0) {
    header.image.version = tpm_version::v2_0;
    std::iota(header.image.id.begin(), header.image.id.end(),
              std::uint8_t{0xA0});
    header.image.gen = 7;
    header.image.parent = 5;
    header.image.peer_count = 16;
    std::iota(header.salt.begin(), header.salt.end(), std::uint8_t{0x20});
    std::copy_n(header.salt.begin(), header.image.write.size(),
                header.image.write.begin());
    if (sealed_size == 0)
      seal_example();
    else
      sealed.assign(sealed_size, 0x5E);
    header.sealed_size = static_cast<std::uint32_t>(sealed.size());
    const auto size = image_size_for(sealed.size(), sector_size);
    REQUIRE(size);
    header.image.count = static_cast<std::uint16_t>(*size / sector_size);
    if (sealed_size == 0)
      authenticate_example();
    encode_image(slot, header, sealed, image());
  }

  std::span<std::uint8_t> image() {
    return std::span{octets}.first(header.image.count * sector_size);
  }

  std::span<std::uint8_t> sector(std::size_t index) {
    return std::span{octets}.subspan(index * sector_size, sector_size);
  }

private:
  const snapshot state{{'p', 'e', 'r', 'm'}, {}};
  const byte_vector shadow_key = byte_vector(shadow_key_size, 0x53);

  void seal_example() {
    sealed.resize(encoded_payload{state, shadow_key, std::nullopt}.size());
  }

  /// By the words of state_format.md, not by the store's code.
  void authenticate_example() {
    auto info = byte_vector{'v', 't', 'p', 'm', 'd', ' ', 's', 'l', 'o', 't'};
    info.insert(info.end(), header.image.id.begin(), header.image.id.end());
    info.push_back(slot);
    for (const auto octet : {0, 0, 0, 0, 0, 0, 0, 7})
      info.push_back(static_cast<std::uint8_t>(octet));
    auto key = byte_vector(32);
    REQUIRE(hkdf_sha256::make()->derive(byte_vector(32, 0x4B), header.salt,
                                        info, key));
    auto tag = aes_256_gcm::make()->seal(
      key, {}, associated_data(slot, header),
      encoded_payload{state, shadow_key, std::nullopt}.parts(), sealed);
    REQUIRE(tag);
    header.tag = *tag;
  }
};

} // namespace

TEST_SUITE("tpm/slot_format") {
  TEST_CASE("the first sector is the documented example, octet by octet") {
    example e;
    const auto documented = hex_in_document("tpm/state_format.md");
    REQUIRE(documented.size() > frame_size + slot_header_size + crc_size);
    // The document leaves out the zeros between payload and CRC.
    const auto used = documented.size() - crc_size;
    const auto sector = e.sector(0);
    CHECK(to_hex(sector.first(used))
          == to_hex(byte_view{documented}.first(used)));
    CHECK(to_hex(sector.last(crc_size))
          == to_hex(byte_view{documented}.last(crc_size)));
    for (auto i = used; i < sector_size - crc_size; ++i)
      CHECK(sector[i] == 0);
  }

  TEST_CASE("the documented example opens with the documented key") {
    vtpm::tests::lying_disk disk;
    example e;
    std::copy(e.octets.begin(), e.octets.end(), disk.slot(1).begin());
    // It followed a generation in the other slot, which is not there.
    auto opened = state_store::open(disk, vtpm::tests::key_of(0x4B), {}, true);
    REQUIRE(opened);
    CHECK(opened->state->permanent == secret_bytes{'p', 'e', 'r', 'm'});
    CHECK(opened->store->latest().through() == 7);
    CHECK(to_string(opened->store->status().id)
          == "a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf");
  }

  TEST_CASE("images of every length are read back") {
    for (const std::size_t size : {1u, 399u, 400u, 401u, 852u, 853u, 3000u,
                                   3563u, 3564u, 3565u, 100000u, 231372u}) {
      CAPTURE(size);
      example e{size};
      const auto scan = scan_slot(example::slot, e.octets);
      REQUIRE(scan.condition == slot_condition::intact);
      CHECK(scan.header->image == e.header.image);
      CHECK(scan.header->salt == e.header.salt);
      CHECK(scan.header->sealed_size == size);
      CHECK(gather_sealed(*scan.header, e.octets) == e.sealed);
    }
    CHECK(sealed_size_max == 231372);
  }

  TEST_CASE("sizes follow payload and alignment") {
    CHECK(image_size_for(0, 512) == 4096);
    CHECK(image_size_for(8 * 452 - 52, 512) == 4096);
    CHECK(image_size_for(8 * 452 - 51, 512) == 8192);
    CHECK(image_size_for(8 * 452 - 51, 16384) == 16384);
    CHECK(image_size_for(0, slot_size) == slot_size);
    CHECK(image_size_for(sealed_size_max, 512) == slot_size);
    CHECK_FALSE(image_size_for(sealed_size_max + 1, 512));
  }

  TEST_CASE("what an earlier image left in the buffer is not written") {
    example e{100};
    std::fill(e.octets.begin(), e.octets.end(), std::uint8_t{0xFF});
    encode_image(example::slot, e.header, e.sealed, e.image());
    example fresh{100};
    CHECK(
      std::equal(e.image().begin(), e.image().end(), fresh.image().begin()));
  }

  TEST_CASE("an empty slot, a foreign one and a torn one are told apart") {
    auto octets = byte_vector(slot_size);
    CHECK(scan_slot(0, octets).condition == slot_condition::empty);
    octets[slot_size - 1] = 1;
    CHECK(scan_slot(0, octets).condition == slot_condition::foreign);
    example e{5000};
    for (std::size_t i = 0; i < e.header.image.count; ++i) {
      CAPTURE(i);
      example cut{5000};
      std::fill(cut.sector(i).begin(), cut.sector(i).end(), std::uint8_t{0});
      CHECK(scan_slot(example::slot, cut.octets).condition
            == slot_condition::torn);
    }
  }

  TEST_CASE("every flipped bit of a sector is noticed") {
    example e{3000};
    for (const std::size_t index : {0u, 4u, 7u}) {
      const auto sector = e.sector(index);
      for (std::size_t bit = 0; bit < sector_size * 8; ++bit) {
        const auto flip = static_cast<std::uint8_t>(1u << bit % 8);
        sector[bit / 8] ^= flip;
        REQUIRE(scan_slot(example::slot, e.octets).condition
                == slot_condition::damaged);
        sector[bit / 8] ^= flip;
      }
    }
    CHECK(scan_slot(example::slot, e.octets).condition
          == slot_condition::intact);
  }

  TEST_CASE("the other slot's image is damage") {
    example e;
    CHECK(scan_slot(0, e.octets).condition == slot_condition::damaged);
  }

  TEST_CASE("implausible frames are damage whatever their CRC says") {
    // Offset and value of one octet in every sector's frame.
    for (const auto& change : {
           std::pair{5u, 2u},  // a third slot
           std::pair{6u, 0u},  // no TPM version
           std::pair{6u, 3u},  // TPM 3.0
           std::pair{11u, 0u}, // no sectors
           std::pair{11u, 9u}, // not a multiple of eight
           std::pair{10u, 3u}, // more than a slot has
           std::pair{12u, 3u}, // a peer longer than a slot
           std::pair{47u, 7u}, // its own parent
         }) {
      const auto offset = change.first;
      const auto value = change.second;
      CAPTURE(offset);
      CAPTURE(value);
      example e;
      for (std::size_t i = 0; i < e.header.image.count; ++i) {
        const auto sector = e.sector(i);
        sector[offset] = static_cast<std::uint8_t>(value);
        protocol::store_be(sector.data() + sector_size - crc_size,
                           crc32c(sector.first(sector_size - crc_size)));
      }
      CHECK(scan_slot(example::slot, e.octets).condition
            == slot_condition::damaged);
    }
  }

  TEST_CASE("a header that contradicts its frame is damage") {
    for (const std::size_t offset : {frame_size, frame_size + salt_size}) {
      example e;
      const auto sector = e.sector(0);
      sector[offset] ^= 0x40;
      protocol::store_be(sector.data() + sector_size - crc_size,
                         crc32c(sector.first(sector_size - crc_size)));
      const auto scan = scan_slot(example::slot, e.octets);
      CHECK(scan.condition == slot_condition::damaged);
      CHECK_FALSE(scan.header);
    }
  }
}
