// Goal: nobody can check one value of a guest's page and use another.
// Method: every offset and size at the page's edges; a guest that changes the
// page from a thread while it is copied.

#include "xenio/shared_page.hpp"

#include <array>
#include <atomic>
#include <thread>

#include <doctest/doctest.h>

using namespace vtpm;
using protocol::page_size;

namespace {

class plain_page final : public xenio::shared_page {
public:
  explicit plain_page(std::uint8_t* octets) : shared_page(octets) {
    // nop
  }
};

struct fixture {
  fixture() {
    for (std::size_t i = 0; i < page_size; ++i)
      octets[i] = pattern(i);
  }

  static std::uint8_t pattern(std::size_t i) {
    return static_cast<std::uint8_t>(i * 31 + i / 256);
  }

  alignas(page_size) std::array<std::uint8_t, page_size> octets;
  plain_page page{octets.data()};
};

} // namespace

TEST_SUITE("xenio/shared_page") {
  TEST_CASE_FIXTURE(fixture, "the header is where tpmif has it") {
    octets = {0x34, 0x12, 0x00, 0x00, // length
              0x01,                   // state
              0x02,                   // locality
              0x00,                   // pad
              0x03};                  // nr_extra_pages
    const auto header = page.load_header();
    CHECK(header == protocol::page_header{0x1234, 1, 2, 0, 3});
    CHECK(page.load_state() == 1);
  }

  TEST_CASE_FIXTURE(fixture, "stores touch their own octets only") {
    page.store_length(0x01020304);
    page.store_state(protocol::page_state::finish);
    CHECK(octets[0] == 4);
    CHECK(octets[1] == 3);
    CHECK(octets[2] == 2);
    CHECK(octets[3] == 1);
    CHECK(octets[4] == 2);
    for (std::size_t i = 5; i < page_size; ++i)
      REQUIRE(octets[i] == pattern(i));
  }

  TEST_CASE_FIXTURE(fixture, "any part of the page can be copied in") {
    for (std::size_t offset = 0; offset < 40; ++offset)
      for (std::size_t size : {0u, 1u, 7u, 8u, 9u, 15u, 16u, 17u, 63u, 1000u}) {
        CAPTURE(offset);
        CAPTURE(size);
        byte_vector copy(size);
        REQUIRE(page.copy_in(offset, copy));
        for (std::size_t i = 0; i < size; ++i)
          REQUIRE(copy[i] == pattern(offset + i));
      }
  }

  TEST_CASE_FIXTURE(fixture, "any part of the page can be copied out") {
    for (std::size_t offset = 0; offset < 40; ++offset)
      for (std::size_t size : {0u, 1u, 7u, 8u, 9u, 15u, 16u, 17u, 63u, 1000u}) {
        CAPTURE(offset);
        CAPTURE(size);
        octets.fill(0);
        REQUIRE(page.copy_out(offset, byte_vector(size, 0xEE)));
        for (std::size_t i = 0; i < 1100; ++i)
          REQUIRE(octets[i] == (i >= offset && i < offset + size ? 0xEE : 0));
      }
  }

  TEST_CASE_FIXTURE(fixture, "copies end at the page's end") {
    for (std::size_t size = 0; size <= 20; ++size) {
      byte_vector copy(size, 0x55);
      CHECK(page.copy_in(page_size - size, copy));
      CHECK(page.copy_out(page_size - size, copy));
      const auto before = octets;
      byte_vector untouched(size, 0x55);
      for (auto beyond :
           {page_size - size + 1, page_size + 1, SIZE_MAX - 7, SIZE_MAX})
        if (size > 0 || beyond > page_size) {
          CHECK_FALSE(page.copy_in(beyond, untouched));
          CHECK_FALSE(page.copy_out(beyond, untouched));
        }
      CHECK(untouched == byte_vector(size, 0x55));
      CHECK(octets == before);
    }
    byte_vector too_much(page_size + 1);
    CHECK_FALSE(page.copy_in(0, too_much));
    CHECK_FALSE(page.copy_out(0, too_much));
  }

  TEST_CASE_FIXTURE(fixture, "a copy stays what it was when the page changes") {
    std::atomic<bool> stop{false};
    octets.fill(0);
    std::thread guest{[&] {
      plain_page view{octets.data()};
      byte_vector content(page_size);
      for (std::uint8_t i = 0; !stop; ++i) {
        content.assign(page_size, i);
        (void)view.copy_out(0, content);
      }
    }};
    for (auto round = 0; round < 200; ++round) {
      byte_vector copy(page_size);
      REQUIRE(page.copy_in(0, copy));
      const auto again = copy;
      const auto header = page.load_header();
      const auto same = header;
      std::this_thread::yield();
      CHECK(copy == again);
      CHECK(header == same);
    }
    stop = true;
    guest.join();
  }

  TEST_CASE_FIXTURE(fixture, "who sees the state sees what came before it") {
    std::thread backend{[&] {
      plain_page view{octets.data()};
      for (std::uint8_t round = 1; round <= 100; ++round) {
        while (view.load_state() != 1)
          std::this_thread::yield();
        byte_vector copy(page_size - 8);
        (void)view.copy_in(8, copy);
        for (auto& octet : copy)
          octet = static_cast<std::uint8_t>(octet + 1);
        (void)view.copy_out(8, copy);
        view.store_state(protocol::page_state::finish);
      }
    }};
    auto mismatches = 0;
    page.store_state(protocol::page_state::idle);
    for (std::uint8_t round = 1; round <= 100; ++round) {
      (void)page.copy_out(8, byte_vector(page_size - 8, round));
      page.store_state(protocol::page_state::submit);
      while (page.load_state() != 2)
        std::this_thread::yield();
      byte_vector copy(page_size - 8);
      (void)page.copy_in(8, copy);
      for (auto octet : copy)
        mismatches += octet != round + 1;
    }
    backend.join();
    CHECK(mismatches == 0);
  }
}
