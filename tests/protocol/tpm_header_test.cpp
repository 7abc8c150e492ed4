#include "protocol/tpm_header.hpp"

#include <algorithm>

#include <doctest/doctest.h>

#include "protocol/tpmif.hpp"
#include "tests/printing.hpp"

using namespace vtpm;
using namespace vtpm::protocol;

namespace {

/// TPM_Startup(ST_CLEAR): the shortest useful TPM 1.2 command.
const byte_vector startup_1_2 = {
  0x00, 0xC1,             // tag: TPM_TAG_RQU_COMMAND
  0x00, 0x00, 0x00, 0x0C, // size
  0x00, 0x00, 0x00, 0x99, // ordinal: TPM_ORD_Startup
  0x00, 0x01,             // startupType: TPM_ST_CLEAR
};

/// TPM2_Startup(CLEAR).
const byte_vector startup_2_0 = {
  0x80, 0x01,             // tag: TPM_ST_NO_SESSIONS
  0x00, 0x00, 0x00, 0x0C, // size
  0x00, 0x00, 0x01, 0x44, // commandCode: TPM_CC_Startup
  0x00, 0x00,             // startupType: TPM_SU_CLEAR
};

/// The 1.2 response to a PCRRead of a PCR of zeros.
const byte_vector pcr_value = {
  0x00, 0xC4,             // tag: TPM_TAG_RSP_COMMAND
  0x00, 0x00, 0x00, 0x1E, // size
  0x00, 0x00, 0x00, 0x00, // returnCode: TPM_SUCCESS
  0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // outDigest
  0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

constexpr tpm_version versions[] = {tpm_version::v1_2, tpm_version::v2_0};

const byte_vector& startup_of(tpm_version version) {
  return version == tpm_version::v1_2 ? startup_1_2 : startup_2_0;
}

byte_vector with(byte_vector octets, std::size_t offset, std::uint8_t value) {
  octets.at(offset) = value;
  return octets;
}

/// A command of exactly `size` octets whose header says so.
byte_vector command_of_size(tpm_version version, std::size_t size) {
  auto packet = startup_of(version);
  packet.resize(size);
  packet[4] = static_cast<std::uint8_t>(size >> 8);
  packet[5] = static_cast<std::uint8_t>(size);
  return packet;
}

bool is_command_tag(tpm_version version, unsigned tag) {
  return version == tpm_version::v1_2 ? tag >= 0xC1 && tag <= 0xC3
                                      : tag == 0x8001 || tag == 0x8002;
}

tpm_version other(tpm_version version) {
  return version == tpm_version::v1_2 ? tpm_version::v2_0 : tpm_version::v1_2;
}

bool starts_with(const byte_vector& packet,
                 const std::array<std::uint8_t, 10>& header) {
  return std::equal(header.begin(), header.end(), packet.begin());
}

} // namespace

TEST_SUITE("protocol/tpm_header") {
  TEST_CASE("a 1.2 command decodes and encodes back") {
    const auto header
      = tpm_header::decode_command(tpm_version::v1_2, startup_1_2);
    REQUIRE(header);
    CHECK(*header == tpm_header{0x00C1, 12, 0x99});
    CHECK(starts_with(startup_1_2, header->encode()));
  }

  TEST_CASE("a 2.0 command decodes and encodes back") {
    const auto header
      = tpm_header::decode_command(tpm_version::v2_0, startup_2_0);
    REQUIRE(header);
    CHECK(*header == tpm_header{0x8001, 12, 0x144});
    CHECK(starts_with(startup_2_0, header->encode()));
  }

  TEST_CASE("a response decodes and encodes back, whatever its tag") {
    auto packet = pcr_value;
    for (auto tag : {0x00C4, 0x00C5, 0x00C6, 0x8001, 0x8002, 0x0000}) {
      CAPTURE(tag);
      packet[0] = static_cast<std::uint8_t>(tag >> 8);
      packet[1] = static_cast<std::uint8_t>(tag);
      const auto header = tpm_header::decode_response(packet);
      REQUIRE(header);
      CHECK(header->tag == tag);
      CHECK(header->size == 30);
      CHECK(header->code == tpm_success);
      CHECK(starts_with(packet, header->encode()));
    }
  }

  TEST_CASE("of all tags only those of the version are accepted") {
    for (auto version : versions)
      for (auto tag = 0U; tag <= 0xFFFF; ++tag) {
        auto packet = startup_of(version);
        packet[0] = static_cast<std::uint8_t>(tag >> 8);
        packet[1] = static_cast<std::uint8_t>(tag);
        const auto header = tpm_header::decode_command(version, packet);
        CAPTURE(version);
        CAPTURE(tag);
        if (is_command_tag(version, tag)) {
          REQUIRE(header);
          CHECK(header->tag == tag);
        } else {
          REQUIRE_FALSE(header);
          CHECK(header.error()
                == (is_command_tag(other(version), tag)
                      ? errc::other_version_tag
                      : errc::bad_tag));
        }
      }
  }

  TEST_CASE("every strict prefix is refused") {
    const auto expected = [](std::size_t length) {
      return length < tpm_header::encoded_size ? errc::truncated
                                               : errc::size_mismatch;
    };
    for (auto version : versions) {
      const auto& packet = startup_of(version);
      for (std::size_t length = 0; length < packet.size(); ++length) {
        CAPTURE(length);
        const auto prefix = byte_view{packet}.first(length);
        const auto header = tpm_header::decode_command(version, prefix);
        REQUIRE_FALSE(header);
        CHECK(header.error() == expected(length));
      }
    }
    for (std::size_t length = 0; length < pcr_value.size(); ++length) {
      CAPTURE(length);
      const auto header
        = tpm_header::decode_response(byte_view{pcr_value}.first(length));
      REQUIRE_FALSE(header);
      CHECK(header.error() == expected(length));
    }
  }

  TEST_CASE("every flipped bit is refused or decodes to what it says") {
    for (auto version : versions)
      for (std::size_t bit = 0; bit < 8 * tpm_header::encoded_size; ++bit) {
        CAPTURE(version);
        CAPTURE(bit);
        auto packet = startup_of(version);
        packet[bit / 8]
          = static_cast<std::uint8_t>(packet[bit / 8] ^ 1U << bit % 8);
        const auto header = tpm_header::decode_command(version, packet);
        const auto in_size = bit / 8 >= 2 && bit / 8 < 6;
        if (in_size)
          CHECK_FALSE(header);
        if (header)
          CHECK(starts_with(packet, header->encode()));
      }
  }

  TEST_CASE("a refusal names its reason") {
    struct row {
      const char* name;
      tpm_version version;
      byte_vector wire;
      errc expected;
    };
    const auto v1_2 = tpm_version::v1_2;
    const auto v2_0 = tpm_version::v2_0;
    const row rows[] = {
      {"size one short", v1_2, with(startup_1_2, 5, 0x0B), errc::size_mismatch},
      {"size one long", v2_0, with(startup_2_0, 5, 0x0D), errc::size_mismatch},
      {"size of 2^32 - 244", v1_2,
       with(with(with(startup_1_2, 2, 0xFF), 3, 0xFF), 4, 0xFF),
       errc::size_mismatch},
      {"a response tag", v1_2, with(startup_1_2, 1, 0xC4), errc::bad_tag},
      {"a tag of the other version before a bad size", v2_0,
       with(startup_1_2, 5, 0x0D), errc::other_version_tag},
      {"an unknown tag before a bad size", v1_2,
       with(with(startup_1_2, 1, 0xC0), 5, 0x0D), errc::bad_tag},
    };
    for (const auto& row : rows) {
      CAPTURE(row.name);
      const auto header = tpm_header::decode_command(row.version, row.wire);
      REQUIRE_FALSE(header);
      CHECK(header.error() == row.expected);
    }
  }

  TEST_CASE("the limits of size are those of a header and of a page") {
    for (auto version : versions) {
      const auto decode = [version](std::size_t size) {
        return tpm_header::decode_command(version,
                                          command_of_size(version, size));
      };
      CHECK(decode(tpm_header::encoded_size));
      CHECK(decode(packet_size_max));
      const auto header = decode(packet_size_max + 1);
      REQUIRE_FALSE(header);
      CHECK(header.error() == errc::oversized);
    }
    auto response = command_of_size(tpm_version::v1_2, packet_size_max);
    CHECK(tpm_header::decode_response(response));
    response = command_of_size(tpm_version::v1_2, packet_size_max + 1);
    const auto header = tpm_header::decode_response(response);
    REQUIRE_FALSE(header);
    CHECK(header.error() == errc::oversized);
  }
}
