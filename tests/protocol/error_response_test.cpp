#include "protocol/error_response.hpp"

#include <doctest/doctest.h>

#include "protocol/tpm_header.hpp"
#include "tests/printing.hpp"

using namespace vtpm;
using namespace vtpm::protocol;

TEST_SUITE("protocol/error_response") {
  TEST_CASE("every refusal of either version has its ten octets") {
    struct row {
      tpm_version version;
      refusal reason;
      error_packet expected;
    };
    const auto v1_2 = tpm_version::v1_2;
    const auto v2_0 = tpm_version::v2_0;
    // tag, size, code
    const row rows[] = {
      {v1_2, refusal::bad_size, {0x00, 0xC4, 0, 0, 0, 10, 0, 0, 0x00, 0x19}},
      {v1_2, refusal::bad_tag, {0x00, 0xC4, 0, 0, 0, 10, 0, 0, 0x00, 0x1E}},
      {v1_2,
       refusal::bad_locality,
       {0x00, 0xC4, 0, 0, 0, 10, 0, 0, 0x00, 0x3D}},
      {v1_2,
       refusal::bad_parameter,
       {0x00, 0xC4, 0, 0, 0, 10, 0, 0, 0x00, 0x03}},
      {v1_2, refusal::failure, {0x00, 0xC4, 0, 0, 0, 10, 0, 0, 0x00, 0x09}},
      {v1_2, refusal::cancelled, {0x00, 0xC4, 0, 0, 0, 10, 0, 0, 0x00, 0x09}},
      {v2_0, refusal::bad_size, {0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0x42}},
      {v2_0, refusal::bad_tag, {0x00, 0xC4, 0, 0, 0, 10, 0, 0, 0x00, 0x1E}},
      {v2_0,
       refusal::bad_locality,
       {0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x09, 0x07}},
      {v2_0,
       refusal::bad_parameter,
       {0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x09, 0x07}},
      {v2_0, refusal::failure, {0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0x01}},
      {v2_0, refusal::cancelled, {0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x09, 0x09}},
    };
    for (const auto& row : rows) {
      CAPTURE(row.version);
      CAPTURE(row.reason);
      const auto packet = error_response(row.version, row.reason);
      CHECK(packet == row.expected);
      const auto header = tpm_header::decode_response(packet);
      REQUIRE(header);
      CHECK(header->size == packet.size());
      CHECK(header->code != tpm_success);
    }
  }

  TEST_CASE("every reason to refuse a packet has its refusal") {
    CHECK(refusal_for(errc::truncated) == refusal::bad_size);
    CHECK(refusal_for(errc::oversized) == refusal::bad_size);
    CHECK(refusal_for(errc::size_mismatch) == refusal::bad_size);
    CHECK(refusal_for(errc::bad_tag) == refusal::bad_tag);
    CHECK(refusal_for(errc::other_version_tag) == refusal::bad_tag);
    CHECK(refusal_for(errc::malformed) == refusal::bad_parameter);
  }
}
