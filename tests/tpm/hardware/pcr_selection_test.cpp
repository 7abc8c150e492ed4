#include "tpm/hardware/pcr_selection.hpp"

#include <doctest/doctest.h>

using namespace vtpm::tpm;

TEST_SUITE("tpm/hardware/pcr_selection") {
  TEST_CASE("registers and ranges with both ends are read") {
    struct row {
      const char* text;
      pcr_selection means;
      const char* canonical;
    };
    const row rows[] = {
      {"sha256:0", {pcr_bank::sha256, 1}, "sha256:0"},
      {"sha1:0,2,4,7", {pcr_bank::sha1, 0x95}, "sha1:0,2,4,7"},
      {"sha384:4-7", {pcr_bank::sha384, 0xF0}, "sha384:4,5,6,7"},
      {"sha512:23", {pcr_bank::sha512, 0x800000}, "sha512:23"},
      {"sha256:7,0-1,7", {pcr_bank::sha256, 0x83}, "sha256:0,1,7"},
      {"sha256:3-3", {pcr_bank::sha256, 8}, "sha256:3"},
    };
    for (const auto& row : rows) {
      CAPTURE(row.text);
      const auto read = parse_pcr_selection(row.text);
      REQUIRE(read);
      CHECK(*read == row.means);
      CHECK(to_string(*read) == row.canonical);
      CHECK(*parse_pcr_selection(row.canonical) == row.means);
    }
  }

  TEST_CASE("what names no registers is refused with an example") {
    for (const auto* text :
         {"", ":", "sha256", "sha256:", "0,1", "md5:0", "SHA256:0", "sha256:24",
          "sha256:0,", "sha256:,0", "sha256:7-4", "sha256:1-", "sha256:-1",
          "sha256: 1", "sha256:1 ", "sha256:1+sha1:2", "sha256:0x1",
          "sha256:4294967296", "sha256:1-2-3"}) {
      CAPTURE(text);
      const auto read = parse_pcr_selection(text);
      REQUIRE_FALSE(read);
      CHECK(read.error().code == errc::unusable);
      CHECK(read.error().detail.find("sha256:0,2,4-7") != std::string::npos);
    }
  }

  TEST_CASE("every bank has the size of its digest") {
    CHECK(digest_size(pcr_bank::sha1) == 20);
    CHECK(digest_size(pcr_bank::sha256) == 32);
    CHECK(digest_size(pcr_bank::sha384) == 48);
    CHECK(digest_size(pcr_bank::sha512) == 64);
  }
}
