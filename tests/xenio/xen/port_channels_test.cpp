// Goal: events of many frontends through one descriptor.
// Method: a driver that a test plays, with the real one's ways.

#include <chrono>
#include <memory>

#include <doctest/doctest.h>

#include "tests/xenio/test_loop.hpp"
#include "tests/xenio/xen/scripted_device.hpp"
#include "xenio/xen/port_channels.hpp"

using namespace vtpm;
using namespace vtpm::xenio;

namespace {

struct fixture {
  port bind(int& count) {
    auto bound = channels.bind(1, 5, [&count] { ++count; });
    REQUIRE(bound);
    return *bound;
  }

  tests::test_loop loop;
  tests::scripted_device* device = new tests::scripted_device;
  xen::port_channels channels{loop, std::unique_ptr<xen::event_device>{device}};
};

} // namespace

TEST_SUITE("xenio/xen/port_channels") {
  TEST_CASE_FIXTURE(fixture, "an event reaches its port's handler only") {
    auto first = 0;
    auto second = 0;
    const auto one = bind(first);
    const auto two = bind(second);
    CHECK(one != two);
    device->ring(two);
    loop.settle();
    CHECK(first == 0);
    CHECK(second == 1);
    device->ring(one);
    device->ring(two);
    loop.settle();
    CHECK(first == 1);
    CHECK(second == 2);
  }

  TEST_CASE_FIXTURE(fixture, "a port is heard again after its event") {
    auto count = 0;
    const auto local = bind(count);
    for (auto i = 1; i <= 3; ++i) {
      device->ring(local);
      loop.settle();
      CHECK(count == i);
    }
  }

  TEST_CASE_FIXTURE(fixture, "a ring during the handler is a new event") {
    auto count = 0;
    auto local = port{0};
    auto bound = channels.bind(1, 5, [&] {
      if (++count == 1)
        device->ring(local);
    });
    REQUIRE(bound);
    local = *bound;
    device->ring(local);
    loop.settle();
    CHECK(count == 2);
  }

  TEST_CASE_FIXTURE(fixture, "one look handles one event") {
    auto storm = 0;
    auto quiet = 0;
    auto local = port{0};
    auto bound = channels.bind(1, 5, [&] {
      ++storm;
      device->ring(local);
    });
    REQUIRE(bound);
    local = *bound;
    const auto other = bind(quiet);
    device->ring(local);
    device->ring(other);
    loop.turn(std::chrono::milliseconds{0});
    CHECK(storm == 1);
    loop.turn(std::chrono::milliseconds{0});
    CHECK(quiet == 1);
    channels.unbind(local);
  }

  TEST_CASE_FIXTURE(fixture, "an event of an unbound port is nobody's") {
    auto count = 0;
    const auto local = bind(count);
    device->ring(local);
    channels.unbind(local);
    channels.unbind(local);
    loop.settle();
    CHECK(count == 0);
    CHECK(device->bound.empty());
  }

  TEST_CASE_FIXTURE(fixture, "a handler may unbind its own port") {
    auto count = 0;
    auto local = port{0};
    auto bound = channels.bind(1, 5, [&] {
      channels.unbind(local);
      ++count;
    });
    REQUIRE(bound);
    local = *bound;
    device->ring(local);
    loop.settle();
    device->ring(local);
    loop.settle();
    CHECK(count == 1);
  }

  TEST_CASE_FIXTURE(fixture, "what cannot be bound is said") {
    const auto bound = channels.bind(1, 0, [] {});
    REQUIRE_FALSE(bound);
    CHECK(bound.error().code == errc::bad_channel);
  }

  TEST_CASE_FIXTURE(fixture, "notify rings the port that it names") {
    auto count = 0;
    const auto local = bind(count);
    channels.notify(local);
    CHECK(device->notified == std::vector<port>{local});
  }

  TEST_CASE_FIXTURE(fixture, "a driver that fails is not asked for ever") {
    auto count = 0;
    device->ring(bind(count));
    device->is_broken = true;
    loop.settle();
    CHECK(count == 0);
    CHECK(loop.watched() == 0);
  }
}
