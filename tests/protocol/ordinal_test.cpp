#include "protocol/ordinal.hpp"

#include <set>
#include <string_view>

#include <doctest/doctest.h>

#include "protocol/big_endian.hpp"
#include "tests/printing.hpp"

using namespace vtpm;
using namespace vtpm::protocol;

namespace {

constexpr auto v1_2 = tpm_version::v1_2;
constexpr auto v2_0 = tpm_version::v2_0;

/// Command numbers `first` to `last`.
struct range {
  std::uint32_t first;
  std::uint32_t last;
};

/// The numbers that Part 2, section 17, assigns, and the two TSC ones.
constexpr range assigned_1_2[] = {
  {0x0A, 0x25},
  {0x28, 0x33},
  {0x3C, 0x41},
  {0x46, 0x47},
  {0x50, 0x50},
  {0x52, 0x54},
  {0x5A, 0x5E},
  {0x64, 0x66},
  {0x6E, 0x75},
  {0x78, 0x7A},
  {0x7C, 0x83},
  {0x85, 0x86},
  {0x8C, 0x8D},
  {0x96, 0x9A},
  {0xA0, 0xA3},
  {0xAA, 0xAA},
  {0xB4, 0xBA},
  {0xC8, 0xC8},
  {0xCC, 0xD2},
  {0xD4, 0xD6},
  {0xD8, 0xD8},
  {0xDB, 0xE0},
  {0xE6, 0xE8},
  {0xF1, 0xF2},
  {0x4000000A, 0x4000000B},
};

/// The numbers that 2.0 Part 2, 6.5.2, assigns.
constexpr range assigned_2_0[] = {
  {0x11F, 0x122}, {0x124, 0x13F}, {0x140, 0x159}, {0x15B, 0x15E},
  {0x160, 0x165}, {0x167, 0x174}, {0x176, 0x19A}, {0x20000000, 0x20000000},
};

template <std::size_t N>
std::set<std::uint32_t> numbers_in(const range (&ranges)[N]) {
  std::set<std::uint32_t> numbers;
  for (const auto& [first, last] : ranges)
    for (auto number = first; number <= last; ++number)
      numbers.insert(number);
  return numbers;
}

std::set<std::uint32_t> assigned(tpm_version version) {
  return version == v1_2 ? numbers_in(assigned_1_2) : numbers_in(assigned_2_0);
}

/// A command of a header and one handle.
byte_vector command(std::uint16_t tag, std::uint32_t ordinal,
                    std::uint32_t handle = 0) {
  byte_vector packet(14);
  auto* end = store_be(packet.data(), tag);
  end = store_be(end, std::uint32_t{14});
  end = store_be(end, ordinal);
  store_be(end, handle);
  return packet;
}

void check_is_unknown(const ordinal_attributes& attributes) {
  CHECK(attributes.name == "unknown");
  CHECK(attributes.changes_volatile);
  CHECK_FALSE(attributes.expensive);
  CHECK_FALSE(attributes.cancellable);
  CHECK(attributes.uses_sessions);
}

} // namespace

TEST_SUITE("protocol/ordinal") {
  TEST_CASE("the tables name every assigned number and no other") {
    for (auto version : {v1_2, v2_0}) {
      const auto expected = assigned(version);
      for (auto number = std::uint32_t{0}; number <= 0xFFFF; ++number)
        // The rows of a bitmap, to reach the high numbers without 2^32 probes.
        for (auto high : {0U, 0x20000000U, 0x40000000U, 0x80000000U}) {
          CAPTURE(version);
          CAPTURE(high + number);
          CHECK((attributes_of(version, high + number).name != "unknown")
                == (expected.count(high + number) > 0));
        }
    }
    CHECK(assigned(v1_2).size() == 125);
    CHECK(assigned(v2_0).size() == 120);
  }

  TEST_CASE("every name is used once and is of its version") {
    for (auto version : {v1_2, v2_0}) {
      std::set<std::string_view> names;
      for (auto number : assigned(version)) {
        const auto name = attributes_of(version, number).name;
        CAPTURE(name);
        CHECK(names.insert(name).second);
        if (version == v2_0)
          CHECK(name.substr(0, 5) == "TPM2_");
        else
          CHECK((name.substr(0, 4) == "TPM_" || name.substr(0, 4) == "TSC_"));
      }
    }
  }

  TEST_CASE("well-known numbers have their names") {
    CHECK(attributes_of(v1_2, 0x0A).name == "TPM_OIAP");
    CHECK(attributes_of(v1_2, 0x14).name == "TPM_Extend");
    CHECK(attributes_of(v1_2, 0x99).name == "TPM_Startup");
    CHECK(attributes_of(v1_2, 0xCD).name == "TPM_NV_WriteValue");
    CHECK(attributes_of(v1_2, 0xF2).name == "TPM_TickStampBlob");
    CHECK(attributes_of(v1_2, 0x4000000A).name == "TSC_PhysicalPresence");
    CHECK(attributes_of(v2_0, 0x11F).name == "TPM2_NV_UndefineSpaceSpecial");
    CHECK(attributes_of(v2_0, 0x137).name == "TPM2_NV_Write");
    CHECK(attributes_of(v2_0, 0x144).name == "TPM2_Startup");
    CHECK(attributes_of(v2_0, 0x17B).name == "TPM2_GetRandom");
    CHECK(attributes_of(v2_0, 0x182).name == "TPM2_PCR_Extend");
    CHECK(attributes_of(v2_0, 0x20000000).name == "TPM2_Vendor_TCG_Test");
  }

  TEST_CASE("an unknown ordinal is taken for the worst that is cheap") {
    for (auto number : {0x00U, 0x09U, 0x26U, 0x144U, 0x4000000CU, 0xFFFFFFFFU})
      check_is_unknown(attributes_of(v1_2, number));
    for (auto number : {0x00U, 0x99U, 0x11EU, 0x19BU, 0x20000001U, 0xFFFFFFFFU})
      check_is_unknown(attributes_of(v2_0, number));
    check_is_unknown(attributes_of(v1_2, command(0x00C3, 0x26)));
  }

  TEST_CASE("what may roll a nonce changes volatile state") {
    for (auto version : {v1_2, v2_0})
      for (auto number : assigned(version)) {
        const auto& attributes = attributes_of(version, number);
        CAPTURE(attributes.name);
        if (attributes.uses_sessions)
          CHECK(attributes.changes_volatile);
      }
  }

  TEST_CASE("only 2.0 key generation can be cancelled, and is expensive") {
    std::set<std::string_view> names;
    for (auto number : assigned(v1_2))
      CHECK_FALSE(attributes_of(v1_2, number).cancellable);
    for (auto number : assigned(v2_0))
      if (const auto& attributes = attributes_of(v2_0, number);
          attributes.cancellable) {
        CHECK(attributes.expensive);
        names.insert(attributes.name);
      }
    CHECK(names
          == std::set<std::string_view>{"TPM2_Create", "TPM2_CreatePrimary",
                                        "TPM2_CreateLoaded"});
  }

  TEST_CASE("RSA private operations and key generation are expensive") {
    for (auto number : {0x0DU, 0x16U, 0x18U, 0x1EU, 0x1FU, 0x32U, 0x3CU, 0x3EU,
                        0x41U, 0x78U, 0x79U, 0x7AU, 0xE7U}) {
      CAPTURE(number);
      CHECK(attributes_of(v1_2, number).expensive);
    }
    for (auto number : {0x131U, 0x147U, 0x148U, 0x153U, 0x156U, 0x158U, 0x159U,
                        0x15DU, 0x184U, 0x191U}) {
      CAPTURE(number);
      CHECK(attributes_of(v2_0, number).expensive);
    }
  }

  TEST_CASE("the everyday commands stay on the reactor") {
    // OIAP, OSAP, Extend, PCRRead, GetRandom, GetCapability, NV write and read
    for (auto number : {0x0AU, 0x0BU, 0x14U, 0x15U, 0x46U, 0x65U, 0xCDU, 0xCFU})
      CHECK_FALSE(attributes_of(v1_2, number).expensive);
    // NV_Write, NV_Read, Load, Unseal, GetCapability, GetRandom, PCR_Read,
    // PCR_Extend
    for (auto number :
         {0x137U, 0x14EU, 0x157U, 0x15EU, 0x17AU, 0x17BU, 0x17EU, 0x182U})
      CHECK_FALSE(attributes_of(v2_0, number).expensive);
  }

  TEST_CASE("a read without sessions changes nothing, with sessions it may") {
    struct row {
      tpm_version version;
      std::uint16_t tag;
      std::uint32_t ordinal;
      bool changes;
    };
    const row rows[] = {
      {v1_2, 0x00C1, 0x46, false},  // GetRandom
      {v1_2, 0x00C2, 0x46, false},  // refused for the session
      {v1_2, 0x00C1, 0x15, false},  // PCRRead
      {v1_2, 0x00C1, 0x21, false},  // GetPubKey of a key without authorization
      {v1_2, 0x00C2, 0x21, true},   // the same of a key with it
      {v1_2, 0x00C1, 0x14, true},   // Extend
      {v1_2, 0x00C1, 0xCF, true},   // NV_ReadValue, which may lock the index
      {v1_2, 0x00C1, 0x0A, true},   // OIAP
      {v2_0, 0x8001, 0x17B, false}, // GetRandom
      {v2_0, 0x8002, 0x17B, true},  // the same in an audit session
      {v2_0, 0x8001, 0x17E, false}, // PCR_Read
      {v2_0, 0x8001, 0x162, true},  // ContextSave
      {v2_0, 0x8001, 0x176, true},  // StartAuthSession
      {v2_0, 0x8002, 0x182, true},  // PCR_Extend
    };
    for (const auto& row : rows) {
      CAPTURE(row.version);
      CAPTURE(row.tag);
      CAPTURE(row.ordinal);
      const auto attributes
        = attributes_of(row.version, command(row.tag, row.ordinal));
      CHECK(attributes.changes_volatile == row.changes);
      CHECK(attributes.name == attributes_of(row.version, row.ordinal).name);
    }
  }

  TEST_CASE("starting a session is expensive with a key for its salt only") {
    const auto expensive = [](std::uint32_t tpm_key) {
      return attributes_of(v2_0, command(0x8001, 0x176, tpm_key)).expensive;
    };
    CHECK(attributes_of(v2_0, 0x176).expensive);
    CHECK(expensive(0x80000000));
    CHECK(expensive(0x81000001));
    CHECK_FALSE(expensive(0x40000007));
    auto packet = command(0x8001, 0x176, 0x81000001);
    packet.resize(13);
    CHECK_FALSE(attributes_of(v2_0, packet).expensive);
  }

  TEST_CASE("a packet is never less careful than its ordinal") {
    for (auto version : {v1_2, v2_0})
      for (auto number : assigned(version))
        for (auto tag : {0x00C1, 0x00C2, 0x00C3, 0x8001, 0x8002}) {
          const auto& wide = attributes_of(version, number);
          const auto sharp = attributes_of(
            version, command(static_cast<std::uint16_t>(tag), number));
          CAPTURE(wide.name);
          CAPTURE(tag);
          CHECK((wide.changes_volatile || !sharp.changes_volatile));
          CHECK((wide.expensive || !sharp.expensive));
          CHECK(wide.cancellable == sharp.cancellable);
          CHECK(wide.uses_sessions == sharp.uses_sessions);
        }
  }

  TEST_CASE("less than a header is an unknown command") {
    const auto whole = command(0x8001, 0x17B);
    for (std::size_t length = 0; length < 10; ++length) {
      CAPTURE(length);
      check_is_unknown(attributes_of(v2_0, byte_view{whole}.first(length)));
      check_is_unknown(attributes_of(v1_2, byte_view{whole}.first(length)));
    }
  }
}
