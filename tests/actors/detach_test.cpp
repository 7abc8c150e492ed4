// Goal: what the toolstack takes away is given up at once and cleared up as
// libxl expects it; when nobody is left, that is noticed.

#include "actors/supervisor.hpp"

#include "tests/actors/lifecycle_fixture.hpp"
#include "tests/printing.hpp"

using namespace vtpm;
using namespace vtpm::tests;
using actors::frontend_state;
using xenio::xenbus_state;
using namespace std::chrono_literals;
using world = lifecycle_fixture;

TEST_SUITE("actors/detach") {
  TEST_CASE_FIXTURE(world, "in domain 0 the toolstack removes the node") {
    for (auto domid : {static_cast<const char*>(nullptr), "0"}) {
      if (domid != nullptr)
        live_in(domid);
      auto guest = connect(5);
      detach(5);
      CHECK(guest->backend_state() == xenbus_state::closed);
      CHECK(xen.mappings() == 0);
      CHECK(report_of(*guest).state == frontend_state::removed);
      pass(60s);
      CHECK(backend_key(5, "/state") == "6");
      guest->die();
      settle_all();
      CHECK(reports().present.empty());
    }
  }

  TEST_CASE_FIXTURE(world, "elsewhere we do, when it has been seen Closed") {
    live_in("7");
    auto guest = connect(5);
    auto other = connect(6);
    detach(5);
    CHECK(backend_key(5, "/state") == "6");
    pass(999ms);
    CHECK(backend_key(5, "/state") == "6");
    pass(1ms);
    CHECK_FALSE(backend_key(5, "/state"));
    CHECK_FALSE(backend_key(5, "/uuid"));
    CHECK(reports().present.size() == 1);
    serve_one(*other);
  }

  TEST_CASE_FIXTURE(world, "a hot-plugged device shows InitWait to libxl") {
    kill_supervisor();
    actors::supervisor_parts parts;
    parts.is_awaited = true;
    spawn_supervisor(std::move(parts));
    xenio::simulated::guest guest{xen, 5};
    guest.publish(); // its driver runs already
    settle_all();
    CHECK(backend_key(5, "/state") == "2");
    pass(999ms);
    CHECK(backend_key(5, "/state") == "2");
    pass(1ms);
    CHECK(backend_key(5, "/state") == "4");
    serve_one(guest);
    // Whoever comes back later does not wait.
    guest.close();
    settle_all();
    guest.publish();
    settle_all();
    CHECK(backend_key(5, "/state") == "4");
    // A device made anew does, and its timer is its own.
    guest.die();
    settle_all();
    xenio::simulated::guest again{xen, 6};
    again.publish();
    settle_all();
    pass(500ms);
    detach(6);
    CHECK(backend_key(6, "/state") == "6");
    xen.store().erase(xenio::backend_path(6, 0));
    settle_all();
    pass(10s);
    CHECK(reports().present.empty());
  }

  TEST_CASE_FIXTURE(world, "an offline device that never was connected") {
    live_in("7");
    xenio::simulated::guest guest{xen, 5};
    settle_all();
    detach(5);
    CHECK(backend_key(5, "/state") == "6");
    pass(1s);
    CHECK_FALSE(backend_key(5, "/state"));
  }

  TEST_CASE_FIXTURE(world, "our restart does not leave a node behind") {
    live_in("7");
    auto guest = connect(5);
    detach(5);
    kill_supervisor();
    spawn_supervisor({});
    settle_all();
    CHECK(backend_key(5, "/state") == "6");
    pass(1s);
    CHECK_FALSE(backend_key(5, "/state"));
  }

  TEST_CASE_FIXTURE(world, "a device attached again keeps its node") {
    live_in("7");
    auto guest = connect(5);
    detach(5);
    pass(500ms);
    // In place of the old one, before that was removed.
    xen.store().erase(xenio::backend_path(5, 0));
    settle_all();
    xenio::simulated::guest again{xen, 5};
    settle_all();
    CHECK(again.backend_state() == xenbus_state::init_wait);
    pass(10s);
    again.publish();
    settle_all();
    serve_one(again);
    // The timer of the first removal is none of the second's.
    detach(5);
    pass(999ms);
    CHECK(backend_key(5, "/state") == "6");
    pass(1ms);
    CHECK_FALSE(backend_key(5, "/state"));
  }

  TEST_CASE("an old timer does not end a second removal") {
    for (auto forgotten : {false, true}) {
      CAPTURE(forgotten);
      world domain;
      domain.live_in("7");
      auto guest = domain.connect(5);
      domain.detach(5);
      domain.pass(600ms);
      if (forgotten)
        domain.xen.store().erase(xenio::backend_path(5, 0));
      domain.settle_all();
      xenio::announce_device(domain.xen.store(), 5, 0, guest->uuid());
      domain.settle_all();
      domain.detach(5);
      domain.pass(600ms);
      CHECK(domain.backend_key(5, "/state") == "6");
      domain.pass(400ms);
      CHECK_FALSE(domain.backend_key(5, "/state"));
    }
  }

  TEST_CASE_FIXTURE(world,
                    "a device comes back under the same handle, or not") {
    live_in("7");
    for (std::uint32_t handle : {0u, 0u, 1u}) {
      CAPTURE(handle);
      auto guest = connect(5, handle);
      serve_one(*guest);
      detach(5, handle);
      pass(1s);
      CHECK_FALSE(xen.store().get(xenio::backend_path(5, handle) + "/state"));
      CHECK(xen.mappings() == 0);
    }
  }

  TEST_CASE_FIXTURE(world, "Closing without a removal starts over") {
    auto guest = connect(5);
    xen.store().set(xenio::backend_path(5, 0) + "/state", "5");
    guest->close();
    settle_all();
    CHECK(guest->backend_state() == xenbus_state::init_wait);
    guest->publish();
    settle_all();
    serve_one(*guest);
  }

  TEST_CASE_FIXTURE(world, "when the last frontend is gone for long enough") {
    kill_supervisor();
    auto calls = 0;
    actors::supervisor_parts more;
    more.unused_limit = 10s;
    more.on_unused = [&calls] { ++calls; };
    spawn_supervisor(std::move(more));
    settle_all();
    // Before the first came nobody has gone.
    pass(100s);
    CHECK(calls == 0);
    auto one = connect(5);
    auto two = connect(6);
    one->die();
    settle_all();
    pass(100s);
    CHECK(calls == 0);
    two->die();
    settle_all();
    pass(6s);
    // Somebody in time makes it start over.
    two = connect(7);
    pass(6s);
    CHECK(calls == 0);
    two->die();
    settle_all();
    pass(9s);
    CHECK(calls == 0);
    pass(1s);
    CHECK(calls == 1);
    pass(100s);
    CHECK(calls == 1);
  }
}
