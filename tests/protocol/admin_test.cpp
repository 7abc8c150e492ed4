#include "protocol/admin.hpp"

#include <limits>
#include <string>

#include <doctest/doctest.h>

#include "protocol/tpmif.hpp"
#include "tests/printing.hpp"

using namespace vtpm;
using namespace vtpm::protocol;

namespace {

constexpr auto v1_2 = tpm_version::v1_2;
constexpr auto v2_0 = tpm_version::v2_0;

/// "status", from octet 0x01020304 of the reply on.
const byte_vector request_1_2 = {
  0x00, 0xC1,                       // tag: TPM_TAG_RQU_COMMAND
  0x00, 0x00, 0x00, 0x20,           // size
  0x00, 0x00, 0x00, 0x3F,           // ordinal: TPM_ORD_SetCapability
  0x00, 0x00, 0x00, 0x07,           // capArea: TPM_SET_VENDOR
  0x00, 0x00, 0x00, 0x04,           // subCapSize
  0x01, 0x02, 0x03, 0x04,           // subCap: the offset
  0x00, 0x00, 0x00, 0x06,           // setValueSize
  's',  't',  'a',  't',  'u', 's', // setValue: the request text
};

/// The same.
const byte_vector request_2_0 = {
  0x80, 0x01,                       // tag: TPM_ST_NO_SESSIONS
  0x00, 0x00, 0x00, 0x18,           // size
  0x20, 0x00, 0x00, 0x01,           // commandCode: ours
  0x01, 0x02, 0x03, 0x04,           // offset
  0x00, 0x00, 0x00, 0x06,           // n
  's',  't',  'a',  't',  'u', 's', // the request text
};

/// Octets 2 and 3 of the reply "{ok}".
const byte_vector reply_1_2 = {
  0x00, 0xC4,             // tag: TPM_TAG_RSP_COMMAND
  0x00, 0x00, 0x00, 0x14, // size
  0x00, 0x00, 0x00, 0x00, // returnCode: TPM_SUCCESS
  0x00, 0x00, 0x00, 0x04, // total
  0x00, 0x00, 0x00, 0x02, // offset
  'k',  '}',              // the page
};

/// The same.
const byte_vector reply_2_0 = {
  0x80, 0x01,             // tag: TPM_ST_NO_SESSIONS
  0x00, 0x00, 0x00, 0x14, // size
  0x00, 0x00, 0x00, 0x00, // responseCode: TPM_RC_SUCCESS
  0x00, 0x00, 0x00, 0x04, // total
  0x00, 0x00, 0x00, 0x02, // offset
  'k',  '}',              // the page
};

/// An empty page: the header, total and offset.
constexpr std::size_t empty_reply_size = 10 + 4 + 4;

const byte_vector& request_of(tpm_version version) {
  return version == v1_2 ? request_1_2 : request_2_0;
}

const byte_vector& reply_of(tpm_version version) {
  return version == v1_2 ? reply_1_2 : reply_2_0;
}

byte_vector with(byte_vector octets, std::size_t offset, std::uint8_t value) {
  octets.at(offset) = value;
  return octets;
}

byte_vector flipped(byte_vector octets, std::size_t bit) {
  octets[bit / 8] = static_cast<std::uint8_t>(octets[bit / 8] ^ 1U << bit % 8);
  return octets;
}

/// Cuts a packet and corrects the header, so that the cut reaches the body.
byte_vector shortened(byte_vector packet, std::size_t length) {
  packet.resize(length);
  return with(packet, 5, static_cast<std::uint8_t>(length));
}

/// Returns whether `text` lies inside `packet`.
bool is_inside(std::string_view text, byte_view packet) {
  const auto* begin = reinterpret_cast<const char*>(packet.data());
  return text.data() >= begin
    && text.data() + text.size() <= begin + packet.size();
}

void check_refused(tpm_version version, const byte_vector& packet, errc code) {
  const auto request = decode_admin_request(version, packet);
  REQUIRE_FALSE(request);
  CHECK(request.error() == code);
}

/// Reads a whole reply the way a client does.
std::string collect(tpm_version version, std::string_view reply,
                    std::size_t size_max) {
  std::string text;
  for (auto total = reply.size() + 1; text.size() < total;) {
    const auto packet = encode_admin_reply(
      version, reply, static_cast<std::uint32_t>(text.size()), size_max);
    CHECK(packet.size() <= size_max);
    const auto page = decode_admin_reply(packet);
    REQUIRE(page);
    CHECK(page->offset == text.size());
    total = page->total;
    REQUIRE((!page->text.empty() || text.size() == total));
    text += page->text;
  }
  return text;
}

} // namespace

TEST_SUITE("protocol/admin") {
  TEST_CASE("a request decodes and encodes back") {
    for (auto version : {v1_2, v2_0}) {
      CAPTURE(version);
      const auto& wire = request_of(version);
      CHECK(is_admin_command(version, wire));
      const auto request = decode_admin_request(version, wire);
      REQUIRE(request);
      CHECK(request->offset == 0x01020304);
      CHECK(request->text == "status");
      CHECK(is_inside(request->text, wire));
      CHECK(encode_admin_request(version, *request) == wire);
    }
  }

  TEST_CASE("a page of a reply decodes and encodes back") {
    for (auto version : {v1_2, v2_0}) {
      CAPTURE(version);
      const auto& wire = reply_of(version);
      const auto page = decode_admin_reply(wire);
      REQUIRE(page);
      CHECK(page->total == 4);
      CHECK(page->offset == 2);
      CHECK(page->text == "k}");
      CHECK(encode_admin_reply(version, "{ok}", 2, packet_size_max) == wire);
    }
  }

  TEST_CASE("a request text has any size up to the limit") {
    for (auto version : {v1_2, v2_0})
      for (std::size_t size = 0; size <= admin_text_size_max; ++size) {
        CAPTURE(size);
        const std::string text(size, 'x');
        const auto wire = encode_admin_request(version, {7, text});
        const auto request = decode_admin_request(version, wire);
        REQUIRE(request);
        CHECK(request->offset == 7);
        CHECK(request->text == text);
      }
  }

  TEST_CASE("a request text beyond the limit is refused") {
    for (auto version : {v1_2, v2_0}) {
      auto wire = encode_admin_request(version, {0, std::string(1024, 'x')});
      wire.push_back('x');
      // Both sizes, of 0x400 octets and some, grow by one without a carry.
      ++wire[5];
      ++wire[version == v1_2 ? 25 : 17];
      check_refused(version, wire, errc::malformed);
    }
  }

  TEST_CASE("only the vendor commands carry requests") {
    CHECK_FALSE(is_admin_command(v1_2, request_2_0));
    CHECK_FALSE(is_admin_command(v2_0, request_1_2));
    // Another capArea, another ordinal, another vendor command.
    CHECK_FALSE(is_admin_command(v1_2, with(request_1_2, 13, 0x01)));
    CHECK_FALSE(is_admin_command(v1_2, with(request_1_2, 9, 0x65)));
    CHECK_FALSE(is_admin_command(v2_0, with(request_2_0, 9, 0x00)));
    check_refused(v1_2, with(request_1_2, 13, 0x01), errc::malformed);
    check_refused(v1_2, with(request_1_2, 9, 0x65), errc::malformed);
    check_refused(v2_0, with(request_2_0, 9, 0x00), errc::malformed);
  }

  TEST_CASE("a vendor command is one whatever else is wrong with it") {
    for (auto version : {v1_2, v2_0}) {
      const auto& wire = request_of(version);
      const auto known_from = version == v1_2 ? std::size_t{14} : 10;
      for (std::size_t length = 0; length <= wire.size(); ++length) {
        CAPTURE(length);
        CHECK(is_admin_command(version, byte_view{wire}.first(length))
              == (length >= known_from));
      }
      CHECK(is_admin_command(version, with(wire, wire.size() - 7, 0xFF)));
      CHECK(is_admin_command(version, with(wire, 1, 0x02)));
    }
  }

  TEST_CASE("a request in a session is refused") {
    check_refused(v1_2, with(request_1_2, 1, 0xC2), errc::malformed);
    check_refused(v2_0, with(request_2_0, 1, 0x02), errc::malformed);
  }

  TEST_CASE("what is wrong with the header is said of the header") {
    check_refused(v1_2, {}, errc::truncated);
    check_refused(v1_2, request_2_0, errc::other_version_tag);
    check_refused(v2_0, request_1_2, errc::other_version_tag);
    check_refused(v2_0, with(request_2_0, 0, 0x00), errc::bad_tag);
    check_refused(v2_0, with(request_2_0, 5, 0x17), errc::size_mismatch);
  }

  TEST_CASE("every strict prefix of a request is refused") {
    for (auto version : {v1_2, v2_0}) {
      const auto& wire = request_of(version);
      for (std::size_t length = 0; length < wire.size(); ++length) {
        CAPTURE(length);
        CHECK_FALSE(
          decode_admin_request(version, byte_view{wire}.first(length)));
        if (length >= tpm_header::encoded_size)
          check_refused(version, shortened(wire, length), errc::malformed);
      }
    }
  }

  TEST_CASE("every flipped bit of a request is refused or stays inside it") {
    for (auto version : {v1_2, v2_0}) {
      const auto& original = request_of(version);
      auto accepted = 0U;
      for (std::size_t bit = 0; bit < 8 * original.size(); ++bit) {
        CAPTURE(bit);
        const auto wire = flipped(original, bit);
        const auto request = decode_admin_request(version, wire);
        if (!request)
          continue;
        ++accepted;
        CHECK(is_inside(request->text, wire));
        CHECK(encode_admin_request(version, *request) == wire);
      }
      // Only the offset and the text may be anything.
      CHECK(accepted == 8 * (4 + 6));
    }
  }

  TEST_CASE("every strict prefix of a reply is refused or is a shorter page") {
    for (auto version : {v1_2, v2_0}) {
      const auto& wire = reply_of(version);
      for (std::size_t length = 0; length < wire.size(); ++length) {
        CAPTURE(length);
        CHECK_FALSE(decode_admin_reply(byte_view{wire}.first(length)));
        if (length < tpm_header::encoded_size)
          continue;
        const auto cut = shortened(wire, length);
        const auto page = decode_admin_reply(cut);
        CHECK(static_cast<bool>(page) == (length >= empty_reply_size));
        if (page)
          CHECK(is_inside(page->text, cut));
      }
    }
  }

  TEST_CASE("every flipped bit of a reply is refused or stays inside it") {
    for (auto version : {v1_2, v2_0})
      for (std::size_t bit = 0; bit < 8 * reply_of(version).size(); ++bit) {
        CAPTURE(bit);
        const auto wire = flipped(reply_of(version), bit);
        const auto page = decode_admin_reply(wire);
        if (!page)
          continue;
        CHECK(is_inside(page->text, wire));
        CHECK(page->offset + page->text.size() <= page->total);
      }
  }

  TEST_CASE("an error response is no page") {
    for (auto version : {v1_2, v2_0}) {
      const auto page = decode_admin_reply(with(reply_of(version), 9, 0x03));
      REQUIRE_FALSE(page);
      CHECK(page.error() == errc::malformed);
    }
  }

  TEST_CASE("a reply is read whole, whatever the size of a page") {
    std::string reply;
    for (auto i = 0; i < 10'000; ++i)
      reply += static_cast<char>('a' + i % 26);
    for (auto version : {v1_2, v2_0}) {
      for (auto room : {1, 2, 7, 100, 3050, 4070, 9'999, 10'000}) {
        const auto size_max = empty_reply_size + static_cast<std::size_t>(room);
        if (size_max > packet_size_max)
          continue;
        CAPTURE(room);
        CHECK(collect(version, reply, size_max) == reply);
      }
      CHECK(collect(version, "", packet_size_max).empty());
      CHECK(collect(version, "x", packet_size_max) == "x");
    }
  }

  TEST_CASE("an offset beyond the reply yields an empty page") {
    for (auto version : {v1_2, v2_0})
      for (auto offset :
           {4U, 5U, 0x7FFFFFFFU, std::numeric_limits<std::uint32_t>::max()}) {
        CAPTURE(offset);
        const auto packet
          = encode_admin_reply(version, "{ok}", offset, packet_size_max);
        CHECK(packet.size() == empty_reply_size);
        const auto page = decode_admin_reply(packet);
        REQUIRE(page);
        CHECK(page->total == 4);
        CHECK(page->offset == offset);
        CHECK(page->text.empty());
      }
  }

  TEST_CASE("no room yields an empty page, never a smaller packet") {
    for (auto version : {v1_2, v2_0})
      for (std::size_t size_max = 0; size_max <= empty_reply_size; ++size_max) {
        CAPTURE(size_max);
        const auto packet = encode_admin_reply(version, "{ok}", 0, size_max);
        CHECK(packet.size() == empty_reply_size);
        const auto page = decode_admin_reply(packet);
        REQUIRE(page);
        CHECK(page->total == 4);
        CHECK(page->text.empty());
      }
  }
}
