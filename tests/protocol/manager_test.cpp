// Goal: the packets of Xen's vTPM Manager, octet for octet, in both directions.
// The fixtures are written down from the protocol's layout, not from our code.

#include "protocol/manager.hpp"

#include <algorithm>

#include <doctest/doctest.h>

#include "tests/printing.hpp"

using namespace vtpm;
using namespace vtpm::protocol;
using namespace vtpm::protocol::manager;

namespace {

const uuid_octets some_uuid = {0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17,
                               0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F};

/// LOADHASHKEY.
const byte_vector load_packet = {
  0x01, 0xC1,             // tag: vTPM request
  0x00, 0x00, 0x00, 0x0A, // size
  0x00, 0x00, 0x00, 0x02, // ordinal
};

/// VTPM_LIST of group 0 from its second vTPM on.
const byte_vector list_packet = {
  0x01, 0xC2,             // tag: management request
  0x00, 0x00, 0x00, 0x12, // size
  0x02, 0x00, 0x02, 0x01, // ordinal
  0x00, 0x00, 0x00, 0x00, // group
  0x00, 0x00, 0x00, 0x01, // offset
};

/// Its answer: there are two, here is one.
const byte_vector list_answer = {
  0x01, 0xC4,                                     // tag: response
  0x00, 0x00, 0x00, 0x1E,                         // size
  0x00, 0x00, 0x00, 0x00,                         // result
  0x00, 0x00, 0x00, 0x02,                         // total
  0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, // uuid
  0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F,
};

/// VTPM_NEW in group 0, of a uuid.
const byte_vector new_packet = {
  0x01, 0xC2,                                     // tag: management request
  0x00, 0x00, 0x00, 0x1E,                         // size
  0x02, 0x00, 0x02, 0x04,                         // ordinal
  0x00, 0x00, 0x00, 0x00,                         // group
  0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, // uuid
  0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F,
};

/// VTPM_EDIT: may not be opened.
const byte_vector edit_packet = {
  0x01, 0xC2,                                     // tag: management request
  0x00, 0x00, 0x00, 0x1E,                         // size
  0x02, 0x00, 0x02, 0x03,                         // ordinal
  0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, // uuid
  0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F,
  0x00, 0x00, 0x00, 0x01, // flags
};

/// The answer to VTPM_SHOW: open, with its 259th record.
const byte_vector show_answer = {
  0x01, 0xC4,                                     // tag: response
  0x00, 0x00, 0x00, 0x16,                         // size
  0x00, 0x00, 0x00, 0x00,                         // result
  0x00, 0x00, 0x03, 0x00,                         // flags
  0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x03, // replacements
};

/// TPM_GetRandom of 32 octets, for the hardware TPM.
const byte_vector random_packet = {
  0x00, 0xC1,             // tag: TPM_TAG_RQU_COMMAND
  0x00, 0x00, 0x00, 0x0E, // size
  0x00, 0x00, 0x00, 0x46, // ordinal
  0x00, 0x00, 0x00, 0x20, // bytesRequested
};

byte_vector request(std::uint32_t number, byte_view body = {}) {
  return packet(number < 0x02000000 ? vtpm_tag : management_tag, number, body);
}

/// Returns whether every body but those of `sizes` octets is refused.
template <class F>
bool takes_only(F decode, std::initializer_list<std::size_t> sizes) {
  for (std::size_t size = 0; size < 64; ++size) {
    const auto wanted
      = std::find(sizes.begin(), sizes.end(), size) != sizes.end();
    if (static_cast<bool>(decode(byte_vector(size))) != wanted)
      return false;
  }
  return true;
}

} // namespace

TEST_SUITE("protocol/manager") {
  TEST_CASE("requests have the original's octets") {
    CHECK(request(2) == load_packet);
    CHECK(request(0x02000201, list_request{0, 1}.encode()) == list_packet);
    CHECK(request(0x02000204, new_request{0, some_uuid}.encode())
          == new_packet);
    CHECK(request(0x02000203, edit_request{some_uuid, 1}.encode())
          == edit_packet);
    CHECK(get_random_request(32) == random_packet);
  }

  TEST_CASE("and decode back") {
    CHECK(*list_request::decode(body_of(list_packet)) == list_request{0, 1});
    CHECK(*new_request::decode(body_of(new_packet))
          == new_request{0, some_uuid});
    CHECK(*new_request::decode(byte_vector{0, 0, 0, 7})
          == new_request{7, std::nullopt});
    CHECK(*edit_request::decode(body_of(edit_packet))
          == edit_request{some_uuid, flag_disabled});
    CHECK(*decode_uuid(some_uuid) == some_uuid);
  }

  TEST_CASE("so do answers") {
    const auto list = list_response{2, {some_uuid}};
    CHECK(packet(response_tag, 0, list.encode()) == list_answer);
    CHECK(*list_response::decode(body_of(list_answer)) == list);
    const auto show = show_response{flag_open | flag_recorded, 259};
    CHECK(packet(response_tag, 0, show.encode()) == show_answer);
    CHECK(*show_response::decode(body_of(show_answer)) == show);
  }

  TEST_CASE("a body of any other size is refused") {
    CHECK(takes_only(list_request::decode, {8}));
    CHECK(takes_only(list_response::decode, {4, 20, 36, 52}));
    CHECK(takes_only(new_request::decode, {4, 20}));
    CHECK(takes_only(decode_uuid, {16}));
    CHECK(takes_only(edit_request::decode, {20}));
    CHECK(takes_only(show_response::decode, {12}));
  }

  TEST_CASE("a record is 52 to 64 octets, and is sent as short as it is") {
    for (std::size_t size = 0; size < 100; ++size)
      CHECK(is_record_size(size) == (size >= 52 && size <= 64));
    std::array<std::uint8_t, record_size> record{};
    CHECK(trim_record(record).size() == 52);
    record[51] = 1;
    CHECK(trim_record(record).size() == 52);
    for (std::size_t at = 52; at < record_size; ++at) {
      auto longer = record;
      longer[at] = 1;
      CHECK(trim_record(longer).size() == 64);
    }
  }

  TEST_CASE("an error carries its request's tag + 3") {
    const auto tag_of_error = [](std::uint16_t tag) {
      const auto answer = refuse(tag, code::bad_ordinal);
      CHECK(answer[9] == 10);
      CHECK(answer[5] == 10);
      return answer[0] << 8 | answer[1];
    };
    CHECK(tag_of_error(0x01C1) == 0x01C4);
    CHECK(tag_of_error(0x01C2) == 0x01C5);
    CHECK(tag_of_error(0x00C1) == 0x00C4);
    CHECK(tag_of_error(0x8001) == 0x8001);
    SUBCASE("and where that is none of ours, a vTPM's") {
      CHECK(tag_of_error(0) == 0x01C4);
      CHECK(tag_of_error(0xFFFF) == 0x01C4);
    }
  }

  TEST_CASE("a request carries one of these tags and no other") {
    for (auto tag = 0u; tag <= 0xFFFF; ++tag) {
      const auto wanted
        = tag == 0x01C1 || tag == 0x01C2 || tag == 0x00C1 || tag == 0x8001;
      if (is_request_tag(static_cast<std::uint16_t>(tag)) != wanted)
        FAIL_CHECK("tag " << tag);
    }
    CHECK(refuse(0x01C2, code_for(refusal::bad_size))
          == error_packet{0x01, 0xC5, 0, 0, 0, 10, 0, 0, 0, 25});
  }

  TEST_CASE("random octets are as many as their size says, or none") {
    auto answer = packet(0x00C4, 0, byte_vector{0, 0, 0, 2, 0xAB, 0xCD});
    const auto octets = decode_random(answer);
    REQUIRE(octets);
    CHECK(std::ranges::equal(*octets, byte_vector{0xAB, 0xCD}));
    answer[13] = 3;
    CHECK(!decode_random(answer));
    CHECK(!decode_random(packet(0x00C4, 9)));
    CHECK(!decode_random(packet(0x00C4, 0, byte_vector{0, 0, 0})));
    CHECK(!decode_random(byte_vector{0x00}));
  }

  TEST_CASE("every ordinal and every code has a name") {
    for (const auto number :
         {0x1u, 0x2u, 0x3u, 0x4u, 0x02000101u, 0x02000102u, 0x02000103u,
          0x02000104u, 0x02000105u, 0x02000106u, 0x02000107u, 0x02000108u,
          0x02000109u, 0x0200010Au, 0x02000201u, 0x02000202u, 0x02000203u,
          0x02000204u, 0x02000205u})
      CHECK(name_of(number) != "unknown");
    CHECK(name_of(0) == "unknown");
    CHECK(name_of(0x02000206) == "unknown");
    for (const auto value : {0u, 2u, 3u, 7u, 8u, 9u, 10u, 17u, 25u, 30u, 31u})
      CHECK(to_string(static_cast<code>(value)) != "unknown");
    CHECK(to_string(static_cast<code>(200)) == "unknown");
  }
}
