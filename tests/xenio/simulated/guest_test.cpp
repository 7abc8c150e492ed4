// Goal: the simulated hypervisor behaves as the real one where a backend can
// tell, and misbehaves exactly as asked.
// Method: a small backend on it, guests that do each thing once.

#include "xenio/simulated/guest.hpp"

#include <algorithm>

#include <doctest/doctest.h>

#include "tests/xenio/echo_backend.hpp"
#include "xenio/device_nodes.hpp"
#include "xenio/simulated/loop.hpp"

using namespace vtpm;
using namespace vtpm::xenio;

namespace {

const auto request = byte_vector{1, 2, 3};
const auto response = byte_vector{3, 2, 1};

constexpr auto idle = static_cast<std::uint8_t>(protocol::page_state::idle);
constexpr auto submitted
  = static_cast<std::uint8_t>(protocol::page_state::submit);

struct fixture {
  simulated::loop loop;
  simulated::hypervisor xen{loop};
  tests::echo_backend backend{xen.grants(), xen.events(), xen.store()};

  void settle() {
    loop.run_until_idle();
  }
};

} // namespace

TEST_SUITE("xenio/simulated/guest") {
  TEST_CASE_FIXTURE(fixture, "a request gets its response, once") {
    simulated::guest guest{xen, 7};
    settle();
    CHECK(guest.backend_state() == xenbus_state::init_wait);
    guest.publish();
    settle();
    CHECK(guest.backend_state() == xenbus_state::connected);
    CHECK(xen.mappings() == 1);
    CHECK(xen.bindings() == 1);
    guest.submit(0, request);
    CHECK_FALSE(guest.take_response());
    settle();
    CHECK(guest.take_response() == response);
    CHECK_FALSE(guest.take_response());
    CHECK(guest.rings == 1);
  }

  TEST_CASE_FIXTURE(fixture, "a ring before the bind is lost") {
    simulated::guest guest{xen, 7};
    backend.is_stuck = true;
    guest.publish();
    guest.submit(0, request);
    settle();
    // The one look is the backend's own, after the bind.
    CHECK(backend.events_seen == 1);
    guest.ring();
    settle();
    CHECK(backend.events_seen == 2);
  }

  TEST_CASE_FIXTURE(fixture, "binding may be followed by an event") {
    xen.inject.event_at_bind = true;
    simulated::guest guest{xen, 7};
    guest.publish();
    settle();
    CHECK(backend.events_seen == 2);
  }

  TEST_CASE_FIXTURE(fixture, "events get lost and doubled on request") {
    simulated::guest guest{xen, 7};
    guest.publish();
    settle();
    for (auto times : {0u, 1u, 2u, 100u}) {
      CAPTURE(times);
      xen.inject.events_to_backend = [times](domid) { return times; };
      const auto before = backend.events_seen;
      guest.ring();
      settle();
      CHECK(backend.events_seen == before + static_cast<int>(times));
    }
    xen.inject.events_to_backend = nullptr;
    for (auto times : {0u, 1u, 3u}) {
      xen.inject.events_to_guest = [times](domid) { return times; };
      const auto before = guest.rings;
      backend.notify_all();
      settle();
      CHECK(guest.rings == before + times);
    }
  }

  TEST_CASE_FIXTURE(fixture, "mapping and binding fail on request") {
    SUBCASE("map") {
      xen.inject.failing_maps = 1;
    }
    SUBCASE("bind") {
      xen.inject.failing_binds = 1;
    }
    simulated::guest guest{xen, 7};
    guest.publish();
    settle();
    CHECK(backend.last_error);
    CHECK(guest.backend_state() == xenbus_state::closed);
    CHECK(xen.mappings() == 0);
    CHECK(xen.bindings() == 0);
    guest.publish();
    settle();
    CHECK(guest.backend_state() == xenbus_state::connected);
  }

  TEST_CASE_FIXTURE(fixture, "the page changes between reads on request") {
    simulated::guest guest{xen, 7};
    guest.publish();
    settle();
    // The length grows after the backend has seen it.
    const auto first = guest.page().reads;
    guest.page().before_read = [&guest, first](auto octets) {
      if (guest.page().reads > first + 1)
        octets[0] = 255;
    };
    guest.submit(0, request);
    settle();
    guest.page().before_read = nullptr;
    CHECK(guest.take_response() == response);
    CHECK(guest.page().reads == first + 2);
  }

  TEST_CASE_FIXTURE(fixture, "a page outlives its guest while it is mapped") {
    std::unique_ptr<shared_page> page;
    {
      simulated::guest guest{xen, 7};
      guest.publish();
      auto mapped = xen.grants().map(
        7,
        static_cast<grant_ref>(
          std::stoul(*xen.store().get(frontend_path(7, 0) + "/ring-ref"))));
      REQUIRE(mapped);
      page = *std::move(mapped);
      CHECK(xen.mappings() == 1);
    }
    page->store_state(protocol::page_state::finish);
    CHECK(page->load_state() == 2);
    page.reset();
    CHECK(xen.mappings() == 0);
  }

  TEST_CASE_FIXTURE(fixture, "a guest that dies leaves nothing behind") {
    {
      simulated::guest guest{xen, 7};
      guest.publish();
      settle();
      guest.submit(0, request);
      guest.die();
      guest.ring();
      guest.die();
      CHECK_FALSE(guest.is_alive());
      settle();
      CHECK(guest.rings == 0);
    }
    CHECK(backend.known() == 0);
    CHECK(xen.mappings() == 0);
    CHECK(xen.bindings() == 0);
    CHECK(xen.store().children("/local/domain/0/backend/vtpm").empty());
    CHECK(xen.store().children("/local/domain")
          == std::vector<std::string>{"0"});
  }

  TEST_CASE_FIXTURE(fixture, "a closed device connects again") {
    simulated::guest guest{xen, 7};
    for (auto round = 0; round < 3; ++round) {
      CAPTURE(round);
      guest.renew_page();
      guest.publish(round == 1 ? xenbus_state::connected
                               : xenbus_state::initialised);
      settle();
      guest.submit(0, request);
      settle();
      CHECK(guest.take_response() == response);
      guest.close();
      settle();
      CHECK(guest.backend_state() == xenbus_state::init_wait);
      CHECK(xen.mappings() == 0);
    }
  }

  TEST_CASE_FIXTURE(fixture, "a request survives its backend in the page") {
    simulated::guest guest{xen, 7};
    guest.publish();
    settle();
    backend.is_stuck = true;
    guest.submit(0, request);
    settle();
    CHECK(guest.state() == submitted);
    guest.close();
    settle();
    backend.is_stuck = false;
    guest.publish(xenbus_state::connected);
    settle();
    CHECK(guest.take_response() == response);
  }

  TEST_CASE_FIXTURE(fixture, "a cancelled request has no response") {
    simulated::guest guest{xen, 7};
    guest.publish();
    settle();
    backend.is_stuck = true;
    guest.submit(0, request);
    settle();
    backend.is_stuck = false;
    guest.cancel();
    settle();
    CHECK(guest.state() == idle);
    CHECK_FALSE(guest.take_response());
  }

  TEST_CASE_FIXTURE(fixture, "any header and octets can be put into the page") {
    simulated::guest guest{xen, 7};
    const byte_vector octets(protocol::page_size, 0xAA);
    for (unsigned extra = 0; extra < 256; ++extra) {
      const auto header = protocol::page_header{
        0xFFFFFFFF, 9, 200, 1, static_cast<std::uint8_t>(extra)};
      guest.page().octets.fill(0);
      guest.submit_raw(header, octets);
      const auto& page = guest.page().octets;
      const auto packet
        = page.begin() + static_cast<std::ptrdiff_t>(header.packet_offset());
      CHECK(std::count(packet, page.end(), 0xAA) == page.end() - packet);
      CHECK(page[4] == 9);
      CHECK(page[7] == extra);
    }
  }

  TEST_CASE_FIXTURE(fixture, "guests do not share numbers or responses") {
    simulated::guest first{xen, 7, 0};
    simulated::guest second{xen, 7, 1};
    simulated::guest third{xen, 8, 0};
    for (auto guest : {&first, &second, &third})
      guest->publish();
    settle();
    CHECK(backend.connected() == 3);
    first.submit(0, {{1, 10}});
    second.submit(0, {{2, 20}});
    third.submit(0, {{3, 30}});
    second.die();
    settle();
    CHECK(first.take_response() == byte_vector{10, 1});
    CHECK_FALSE(second.take_response());
    CHECK(third.take_response() == byte_vector{30, 3});
    CHECK(backend.connected() == 2);
  }

  TEST_CASE("the loop runs what is deferred, in order, and on demand only") {
    simulated::loop loop;
    std::vector<int> ran;
    loop.defer([&] {
      ran.push_back(1);
      loop.defer([&] { ran.push_back(3); });
    });
    loop.defer([&] { ran.push_back(2); });
    CHECK(ran.empty());
    CHECK(loop.run_one());
    CHECK(ran == std::vector<int>{1});
    CHECK(loop.run_until_idle() == 2);
    CHECK(ran == std::vector<int>{1, 2, 3});
    CHECK_FALSE(loop.run_one());
    loop.watch(5, [&] {
      ran.push_back(4);
      loop.unwatch(5);
    });
    CHECK(loop.make_readable(5));
    CHECK_FALSE(loop.make_readable(5));
    CHECK(ran.back() == 4);
  }
}
