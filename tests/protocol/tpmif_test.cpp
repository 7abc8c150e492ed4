#include "protocol/tpmif.hpp"

#include <set>
#include <string>

#include <doctest/doctest.h>

#include "tests/printing.hpp"

using namespace vtpm;
using namespace vtpm::protocol;

namespace {

using wire_header = std::array<std::uint8_t, page_header_size>;

/// A request of 0x0102 octets at locality 2, behind three extra pages.
constexpr wire_header submitted = {
  0x02, 0x01, 0x00, 0x00, // length
  0x01,                   // state: submit
  0x02,                   // locality
  0x00,                   // pad
  0x03,                   // nr_extra_pages
};

} // namespace

TEST_SUITE("protocol/tpmif") {
  TEST_CASE("decoding yields every field") {
    const auto header = page_header::decode(submitted);
    CHECK(header.length == 0x0102);
    CHECK(header.state == static_cast<std::uint8_t>(page_state::submit));
    CHECK(header.locality == 2);
    CHECK(header.pad == 0);
    CHECK(header.nr_extra_pages == 3);
    CHECK(header.encode() == submitted);
  }

  TEST_CASE("every octet of the length has its weight") {
    const auto header
      = page_header::decode(wire_header{0x78, 0x56, 0x34, 0x12});
    CHECK(header.length == 0x12345678);
  }

  TEST_CASE("each flipped bit decodes, differs and encodes back") {
    const auto original = page_header::decode(submitted);
    for (std::size_t bit = 0; bit < 8 * page_header_size; ++bit) {
      CAPTURE(bit);
      auto wire = submitted;
      wire[bit / 8] = static_cast<std::uint8_t>(wire[bit / 8] ^ 1U << bit % 8);
      const auto header = page_header::decode(wire);
      CHECK(header != original);
      CHECK(header.encode() == wire);
      CHECK(header.packet_offset() >= page_header_size);
      CHECK(header.packet_offset() + header.packet_size_max() == page_size);
    }
  }

  TEST_CASE("every value of every octet decodes and encodes back") {
    for (std::size_t offset = 0; offset < page_header_size; ++offset)
      for (auto value = 0; value <= 0xFF; ++value) {
        auto wire = submitted;
        wire[offset] = static_cast<std::uint8_t>(value);
        CAPTURE(offset);
        CAPTURE(value);
        CHECK(page_header::decode(wire).encode() == wire);
      }
  }

  TEST_CASE("the packet follows the list of extra pages") {
    for (auto pages = 0; pages <= 0xFF; ++pages) {
      CAPTURE(pages);
      const page_header header{0, 0, 0, 0, static_cast<std::uint8_t>(pages)};
      CHECK(header.packet_offset() == 8 + 4 * static_cast<std::size_t>(pages));
      CHECK(header.packet_size_max()
            == 4096 - 8 - 4 * static_cast<std::size_t>(pages));
      CHECK(header.packet_size_max() <= packet_size_max);
    }
  }

  TEST_CASE("every state has a name of its own") {
    std::set<std::string> names;
    for (auto state : {page_state::idle, page_state::submit, page_state::finish,
                       page_state::cancel})
      names.insert(to_string(state));
    CHECK(names.size() == 4);
    CHECK(std::string{to_string(static_cast<page_state>(4))} == "unknown");
  }
}
