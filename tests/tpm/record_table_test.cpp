#include "tpm/record_table.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include <doctest/doctest.h>

#include "tests/tpm/hex.hpp"

using namespace vtpm;
using namespace vtpm::tpm;

namespace {

uuid uuid_from(std::uint8_t first) {
  auto id = uuid{};
  for (auto& octet : id)
    octet = first++;
  return id;
}

/// The octets of record_format.md's example.
byte_vector documented() {
  std::ifstream file{std::string{VTPM_SOURCE_DIR} + "/tpm/record_format.md"};
  std::string line;
  std::string digits;
  auto inside = false;
  while (std::getline(file, line)) {
    if (line.starts_with("```"))
      inside = line == "```hex";
    else if (inside)
      digits += line.substr(0, line.find('#'));
  }
  return tests::from_hex(digits);
}

record_table example() {
  auto table = record_table{};
  table[uuid_from(0x10)].disabled = true;
  auto& second = table[uuid_from(0x20)];
  second.replacements = 7;
  std::fill_n(second.octets.begin(), 32, std::uint8_t{0xA0});
  std::fill_n(second.octets.begin() + 32, 32, std::uint8_t{0xB0});
  return table;
}

byte_vector octets_of(const record_table& table) {
  const auto octets = encode_records(table);
  return {octets.begin(), octets.end()};
}

} // namespace

TEST_SUITE("tpm/record_table") {
  TEST_CASE("the table has the octets of its document, and is read back") {
    CHECK(octets_of(example()) == documented());
    const auto table = decode_records(documented());
    REQUIRE(table);
    REQUIRE(table->size() == 2);
    CHECK(table->at(uuid_from(0x10)).disabled);
    CHECK(!table->at(uuid_from(0x10)).is_recorded());
    CHECK(table->at(uuid_from(0x20)).replacements == 7);
    CHECK(table->at(uuid_from(0x20)).is_recorded());
    CHECK(octets_of(*table) == documented());
  }

  TEST_CASE("an empty table is a table, and so is a full one") {
    CHECK(decode_records(octets_of({}))->empty());
    auto table = record_table{};
    for (std::size_t i = 0; i < records_max; ++i) {
      auto id = uuid{};
      id[0] = static_cast<std::uint8_t>(i >> 8);
      id[1] = static_cast<std::uint8_t>(i);
      table[id];
    }
    auto octets = octets_of(table);
    CHECK(decode_records(octets)->size() == records_max);
    ++octets[11]; // the count
    octets.resize(octets.size() + 92);
    CHECK(!decode_records(octets));
  }

  TEST_CASE("a table that is cut short or goes on is refused") {
    const auto whole = octets_of(example());
    for (std::size_t size = 0; size < whole.size(); ++size)
      CHECK(!decode_records(byte_view{whole}.first(size)));
    auto longer = whole;
    longer.push_back(0);
    CHECK(!decode_records(longer));
  }

  TEST_CASE("what a later version may write is refused") {
    for (const auto at : {0, 7, 11, 12 + 16, 12 + 19}) {
      CAPTURE(at);
      auto octets = octets_of(example());
      octets[static_cast<std::size_t>(at)] ^= 0x82;
      const auto table = decode_records(octets);
      REQUIRE(!table);
      CHECK(table.error().code == errc::not_a_state);
    }
  }

  TEST_CASE("no vTPM stands there twice, or out of order") {
    auto twice = octets_of(example());
    std::copy_n(twice.begin() + 12, 16, twice.begin() + 12 + 92);
    CHECK(!decode_records(twice));
    twice[12 + 92] -= 1;
    CHECK(!decode_records(twice));
  }
}
