// Goal: a bad message ends its own connection and nothing else.

#include <random>
#include <vector>

#include <doctest/doctest.h>

#include "tests/xenio/loopback/hostile_fixture.hpp"

using namespace vtpm;
using namespace vtpm::xenio;
using tests::flood;
using tests::hostile_fixture;
using tests::memory_file;
using tests::page_seals;
using tests::ring_guest;
namespace wire = loopback::wire;

TEST_SUITE("xenio/loopback/hostile_message") {
  TEST_CASE_FIXTURE(hostile_fixture,
                    "a message cut short at any length is the end") {
    auto page = loopback::guest_page::make();
    REQUIRE(page);
    const std::vector<byte_vector> messages = {
      wire::encode(wire::claim{1, 7, 0, default_uuid}),
      wire::encode(wire::page{1}),
      wire::encode(wire::doorbell{1}),
      wire::encode(wire::node{"state", "3"}),
    };
    for (const auto& message : messages)
      for (std::size_t size = 1; size < message.size(); ++size)
        for (auto claimed : {false, true}) {
          CAPTURE(size);
          auto guest = claimed ? claim(7) : open();
          const auto file = (*page)->file();
          const auto carries = message[0] == 2 || message[0] == 3;
          REQUIRE(guest.send(byte_view{message}.first(size),
                             {&file, carries ? 1u : 0u}));
          CHECK_FALSE(hear(guest));
          REQUIRE(guest.refusal());
          CHECK(guest.refusal()->code == wire::refusal_code::malformed);
        }
  }

  TEST_CASE_FIXTURE(hostile_fixture,
                    "garbage is the end of its own connection only") {
    std::minstd_rand random{1};
    for (auto round = 0; round < 2000; ++round) {
      auto guest = round % 2 == 0 ? claim(7) : open();
      byte_vector octets(1 + random() % wire::message_size_max);
      for (auto& octet : octets)
        octet = static_cast<std::uint8_t>(random());
      octets[0] = static_cast<std::uint8_t>(octets[0] % 9);
      REQUIRE(guest.send(octets));
      loop.settle();
    }
    CHECK(node("/local/domain/0/backend/vtpm/7/0/online").value_or("1") == "1");
  }

  TEST_CASE_FIXTURE(hostile_fixture, "an oversized message is the end") {
    for (std::size_t size : {wire::message_size_max + 1, std::size_t{4096},
                             std::size_t{100'000}}) {
      auto guest = claim(7);
      REQUIRE(guest.send(byte_vector(size, 4)));
      CHECK_FALSE(hear(guest));
      CHECK(guest.refusal());
    }
  }

  TEST_CASE_FIXTURE(hostile_fixture, "an empty message is the end") {
    auto guest = claim(7);
    REQUIRE(guest.send({}));
    CHECK_FALSE(hear(guest));
  }

  TEST_CASE_FIXTURE(hostile_fixture, "messages out of place are the end") {
    const std::vector<byte_vector> before_claim = {
      wire::encode(wire::node{"state", "3"}),
      wire::encode(wire::accepted{1}),
      wire::encode(wire::refusal{wire::refusal_code::denied, ""}),
      wire::encode(wire::claim{2, 7, 0, default_uuid}),
    };
    for (const auto& message : before_claim) {
      auto guest = open();
      REQUIRE(guest.send(message));
      CHECK_FALSE(hear(guest));
      CHECK(guest.refusal());
    }
    for (const auto& message : {before_claim[1], before_claim[2]}) {
      auto guest = claim(7);
      REQUIRE(guest.send(message));
      CHECK_FALSE(hear(guest));
      CHECK(guest.refusal());
    }
  }

  TEST_CASE_FIXTURE(hostile_fixture,
                    "any but the right count of descriptors is the end") {
    const auto file = memory_file(4096, page_seals);
    for (const auto& message :
         {wire::encode(wire::page{1}), wire::encode(wire::doorbell{1}),
          wire::encode(wire::node{"state", "1"}),
          wire::encode(wire::claim{1, 7, 0, default_uuid})}) {
      const auto wanted = message[0] == 2 || message[0] == 3 ? 1u : 0u;
      for (std::size_t count : {0u, 1u, 2u, 3u, 10u, 253u}) {
        if (count == wanted)
          continue;
        CAPTURE(count);
        auto guest = message[0] == 1 ? open() : claim(7);
        const std::vector<int> files(count, file.get());
        REQUIRE(guest.send(message, files));
        CHECK_FALSE(hear(guest));
      }
    }
  }

  TEST_CASE_FIXTURE(hostile_fixture, "a flood of messages delays nobody") {
    auto guest = claim(7);
    auto seen = 0;
    const auto watch
      = hub->store().watch("/local/domain/7", [&](const auto&) { ++seen; });
    loop.settle();
    seen = 0;
    const auto count
      = flood(guest.socket(), wire::encode(wire::node{"ring-ref", "1"}));
    REQUIRE(count > 32);
    loop.turn(std::chrono::milliseconds{0});
    CHECK(seen <= 16);
    CHECK(honest_is_served_in_one_turn());
    CHECK(seen <= 32);
    loop.settle();
    CHECK(seen == static_cast<int>(count));
    hub->store().unwatch(watch);
  }

  TEST_CASE_FIXTURE(hostile_fixture,
                    "a guest that reads no messages is dropped") {
    auto guest = claim(7);
    for (auto i = 0; i < 5000; ++i) {
      hub->store().write("backend/vtpm/7/0/state", "2", {});
      loop.settle();
    }
    CHECK(node("/local/domain/7") == std::nullopt);
    auto updated = guest.update();
    REQUIRE_FALSE(updated);
    CHECK(updated.error().code == errc::gone);
  }

  TEST_CASE_FIXTURE(hostile_fixture,
                    "the backend's nodes need not fit a message") {
    ring_guest guest{*this, 7};
    hub->store().write("backend/vtpm/7/0/state", std::string(1000, '4'), {});
    CHECK(hear(guest.link));
    hub->store().remove("backend/vtpm/7/0", {});
    CHECK(hear(guest.link));
    CHECK(guest.link.backend_state() == xenbus_state::unknown);
  }
}
