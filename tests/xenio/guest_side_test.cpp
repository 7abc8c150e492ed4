// Goal: the frontend's half of tpmif, octet by octet.

#include "xenio/guest_side.hpp"

#include <algorithm>

#include <doctest/doctest.h>

#include "xenio/loopback/raw_frontend.hpp"

using namespace vtpm;
using namespace vtpm::xenio;

TEST_SUITE("xenio/guest_side") {
  TEST_CASE("a request is laid out as tpmif says") {
    auto made = loopback::guest_page::make();
    REQUIRE(made);
    auto& page = **made;
    std::fill_n(page.octets(), protocol::page_header_size, 0xFF);
    page.store_state(protocol::page_state::finish);
    REQUIRE(place_request(page, 3, byte_vector{0xAA, 0xBB}));
    const byte_vector expected = {0x02, 0x00, 0x00, 0x00, // length
                                  0x01,                   // SUBMIT
                                  0x03,                   // locality
                                  0x00,                   // pad
                                  0x00,                   // no extra pages
                                  0xAA, 0xBB};
    CHECK(std::equal(expected.begin(), expected.end(), page.octets()));
  }

  TEST_CASE("a request fits the page or changes nothing") {
    auto made = loopback::guest_page::make();
    REQUIRE(made);
    auto& page = **made;
    CHECK_FALSE(place_request(page, 0, byte_vector(4089, 1)));
    CHECK(std::all_of(page.octets(), page.octets() + protocol::page_size,
                      [](auto octet) { return octet == 0; }));
    CHECK(place_request(page, 0, byte_vector(4088, 1)));
    CHECK(page.octets()[protocol::page_size - 1] == 1);
  }

  TEST_CASE("the page is the frontend's when idle or finished") {
    auto made = loopback::guest_page::make();
    REQUIRE(made);
    auto& page = **made;
    using protocol::page_state;
    for (auto [state, is_ours] : {std::pair{page_state::idle, true},
                                  {page_state::submit, false},
                                  {page_state::finish, true},
                                  {page_state::cancel, false}}) {
      page.store_state(state);
      CHECK(is_free(page) == is_ours);
    }
  }

  TEST_CASE("a response is what the length says, after the extra pages") {
    auto made = loopback::guest_page::make();
    REQUIRE(made);
    auto& page = **made;
    for (std::size_t i = 8; i < protocol::page_size; ++i)
      page.octets()[i] = static_cast<std::uint8_t>(i);
    for (unsigned extra : {0u, 1u, 255u}) {
      const auto room = protocol::packet_size_max - 4 * extra;
      page.octets()[7] = static_cast<std::uint8_t>(extra);
      for (std::size_t size : {std::size_t{0}, std::size_t{10}, room}) {
        page.store_length(static_cast<std::uint32_t>(size));
        auto response = collect_response(page);
        REQUIRE(response);
        REQUIRE(response->size() == size);
        for (std::size_t i = 0; i < size; ++i)
          REQUIRE((*response)[i]
                  == static_cast<std::uint8_t>(8 + 4 * extra + i));
      }
      for (auto size : {static_cast<std::uint32_t>(room + 1), 0xFFFFFFFFu}) {
        page.store_length(size);
        auto response = collect_response(page);
        REQUIRE_FALSE(response);
        CHECK(response.error().code == errc::protocol);
      }
    }
  }
}
