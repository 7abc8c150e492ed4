#include "actors/device.hpp"

#include <doctest/doctest.h>

using namespace vtpm::actors;
using vtpm::xenio::xenbus_state;

namespace {

device_view online_view() {
  device_view view;
  view.backend_exists = true;
  view.online = true;
  view.backend = xenbus_state::initialising;
  return view;
}

device_nodes good_nodes() {
  device_nodes nodes;
  nodes.ring_ref = "8";
  nodes.event_channel = "15";
  nodes.feature_protocol_v2 = "1";
  return nodes;
}

} // namespace

TEST_SUITE("actors/device") {
  TEST_CASE("a fresh device is announced once") {
    auto view = online_view();
    view.frontend = xenbus_state::initialising;
    CHECK(next_step(view) == device_step::announce);
    view.backend = view.written = xenbus_state::init_wait;
    CHECK(next_step(view) == device_step::nothing);
  }

  TEST_CASE("a driver that is there before us has to wait for its toolstack") {
    auto view = online_view();
    view.frontend = xenbus_state::initialised;
    CHECK(next_step(view) == device_step::announce);
    view.backend = view.written = xenbus_state::init_wait;
    view.announced_just_now = true;
    CHECK(next_step(view) == device_step::nothing);
    view.announced_just_now = false;
    CHECK(next_step(view) == device_step::connect);
  }

  TEST_CASE("frontends may come in state 3, as Linux, or 4, as mini-os") {
    for (auto state : {xenbus_state::initialised, xenbus_state::connected}) {
      auto view = online_view();
      view.backend = view.written = xenbus_state::init_wait;
      view.frontend = state;
      CHECK(next_step(view) == device_step::connect);
      view.connected = view.same_offer = true;
      view.backend = view.written = xenbus_state::connected;
      CHECK(next_step(view) == device_step::nothing);
    }
  }

  TEST_CASE("both sides Connected and nobody connected is a restart of ours") {
    auto view = online_view();
    view.backend = xenbus_state::connected;
    view.frontend = xenbus_state::connected;
    CHECK(next_step(view) == device_step::connect);
  }

  TEST_CASE("a new offer without Closed replaces the connection") {
    auto view = online_view();
    view.backend = view.written = xenbus_state::connected;
    view.frontend = xenbus_state::initialised;
    view.connected = true;
    view.same_offer = false;
    CHECK(next_step(view) == device_step::connect);
  }

  TEST_CASE("a frontend that starts anew may offer the same numbers") {
    auto view = online_view();
    view.backend = view.written = xenbus_state::connected;
    view.frontend = xenbus_state::initialised;
    view.connected = view.same_offer = true;
    CHECK(next_step(view) == device_step::nothing);
    view.restarted = true;
    CHECK(next_step(view) == device_step::connect);
  }

  TEST_CASE("a backend node that was made anew is announced again") {
    auto view = online_view();
    view.written = xenbus_state::connected;
    view.frontend = xenbus_state::initialising;
    view.connected = view.same_offer = true;
    CHECK(next_step(view) == device_step::announce);
  }

  TEST_CASE("a refused offer is not tried again, another one is") {
    auto view = online_view();
    view.backend = view.written = xenbus_state::closed;
    view.frontend = xenbus_state::initialised;
    view.refused = view.same_offer = true;
    CHECK(next_step(view) == device_step::nothing);
    view.same_offer = false;
    CHECK(next_step(view) == device_step::connect);
  }

  TEST_CASE("a frontend that closes is followed, then awaited again") {
    auto view = online_view();
    view.backend = view.written = xenbus_state::connected;
    view.connected = true;
    view.frontend = xenbus_state::closing;
    CHECK(next_step(view) == device_step::follow_closing);
    view.connected = false;
    view.backend = view.written = xenbus_state::closing;
    CHECK(next_step(view) == device_step::nothing);
    view.frontend = xenbus_state::closed;
    CHECK(next_step(view) == device_step::announce);
  }

  TEST_CASE("what the toolstack removes is closed once") {
    for (auto frontend : {xenbus_state::unknown, xenbus_state::connected,
                          xenbus_state::closed}) {
      auto view = online_view();
      view.online = false;
      view.backend = xenbus_state::closing;
      view.frontend = frontend;
      view.connected = true;
      CHECK(next_step(view) == device_step::close);
      view.connected = false;
      view.backend = view.written = xenbus_state::closed;
      CHECK(next_step(view) == device_step::nothing);
    }
  }

  TEST_CASE("our own node goes when Closed has been seen, outside domain 0") {
    auto view = online_view();
    view.online = false;
    view.backend = view.written = xenbus_state::closed;
    view.closed_for_long = true;
    CHECK(next_step(view) == device_step::nothing);
    view.ours_to_remove = true;
    CHECK(next_step(view) == device_step::remove);
    view.closed_for_long = false;
    CHECK(next_step(view) == device_step::nothing);
    // Not before it is closed, and not when it came back.
    view.closed_for_long = true;
    view.backend = xenbus_state::closing;
    CHECK(next_step(view) == device_step::close);
    view.backend = xenbus_state::closed;
    view.online = true;
    CHECK(next_step(view) == device_step::announce);
  }

  TEST_CASE("Closing that we did not write is the toolstack's") {
    auto view = online_view();
    view.backend = xenbus_state::closing;
    view.written = xenbus_state::connected;
    view.frontend = xenbus_state::connected;
    view.connected = view.same_offer = true;
    CHECK(next_step(view) == device_step::close);
  }

  TEST_CASE("a node that is gone is forgotten, whatever else there is") {
    auto view = online_view();
    view.backend_exists = false;
    view.connected = true;
    view.frontend = xenbus_state::connected;
    CHECK(next_step(view) == device_step::forget);
  }

  TEST_CASE("a frontend whose nodes vanish is disconnected") {
    auto view = online_view();
    view.backend = view.written = xenbus_state::connected;
    view.connected = view.same_offer = true;
    view.frontend = xenbus_state::unknown;
    CHECK(next_step(view) == device_step::announce);
  }

  TEST_CASE("a good offer is read") {
    std::string problem;
    auto offer = parse_offer(good_nodes(), problem);
    REQUIRE(offer);
    CHECK(offer->ring_ref == 8);
    CHECK(offer->event_channel == 15);
  }

  TEST_CASE("garbage in any key is refused with a reason") {
    for (auto text : {"", " 8", "8 ", "-1", "+1", "0x8", "4294967296",
                      "99999999999999999999", "8\n", "eight"}) {
      CAPTURE(text);
      for (auto key : {&device_nodes::ring_ref, &device_nodes::event_channel}) {
        auto nodes = good_nodes();
        nodes.*key = text;
        std::string problem;
        CHECK_FALSE(parse_offer(nodes, problem));
        CHECK_FALSE(problem.empty());
      }
    }
    for (auto value : {device_nodes::value{}, device_nodes::value{"0"},
                       device_nodes::value{"11"}, device_nodes::value{""}}) {
      auto nodes = good_nodes();
      nodes.feature_protocol_v2 = value;
      std::string problem;
      CHECK_FALSE(parse_offer(nodes, problem));
    }
  }

  TEST_CASE("only the six states are states") {
    for (auto number = 1; number <= 6; ++number)
      CHECK(parse_xenbus_state(std::to_string(number))
            == static_cast<xenbus_state>(number));
    for (auto text : {"", "0", "7", "44", " 4", "4 ", "x"})
      CHECK(parse_xenbus_state(device_nodes::value{text})
            == xenbus_state::unknown);
    CHECK(parse_xenbus_state(std::nullopt) == xenbus_state::unknown);
  }
}
