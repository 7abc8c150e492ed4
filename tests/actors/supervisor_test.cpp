// Goal: frontends come, go, restart and misbehave as on Xen; none affects
// another, and nothing of theirs stays behind.

#include "actors/supervisor.hpp"

#include <algorithm>

#include "tests/actors/domain_fixture.hpp"
#include "tests/printing.hpp"

using namespace vtpm;
using namespace vtpm::tests;
using xenio::xenbus_state;

namespace {

using world = domain_fixture;

void serve_one(world& domain, xenio::simulated::guest& guest) {
  guest.submit(0, make_request(scripted::increment));
  domain.run_to_end();
  CHECK(guest.take_response());
}

} // namespace

TEST_SUITE("actors/supervisor") {
  TEST_CASE_FIXTURE(world,
                    "frontends in state 3 and in state 4 are connected") {
    for (auto state : {xenbus_state::initialised, xenbus_state::connected}) {
      xenio::simulated::guest guest{xen, 5};
      settle_all();
      guest.publish(state);
      settle_all();
      CHECK(guest.backend_state() == xenbus_state::connected);
      serve_one(*this, guest);
      guest.die();
      settle_all();
    }
  }

  TEST_CASE_FIXTURE(world, "a request in the page at connect is served") {
    xenio::simulated::guest guest{xen, 5};
    guest.submit(0, make_request(scripted::increment));
    guest.publish();
    run_to_end();
    CHECK(guest.take_response());
  }

  TEST_CASE_FIXTURE(world, "close and reopen, with another page") {
    auto guest = connect(1);
    serve_one(*this, *guest);
    guest->close();
    settle_all();
    CHECK(guest->backend_state() == xenbus_state::init_wait);
    CHECK(xen.mappings() == 0);
    CHECK(xen.bindings() == 0);
    guest->renew_page();
    guest->publish();
    settle_all();
    serve_one(*this, *guest);
  }

  TEST_CASE_FIXTURE(world, "a frontend that restarts without closing") {
    auto guest = connect(1);
    serve_one(*this, *guest);
    guest->renew_page();
    guest->publish();
    settle_all();
    CHECK(xen.mappings() == 1);
    CHECK(xen.bindings() == 1);
    serve_one(*this, *guest);
  }

  TEST_CASE_FIXTURE(world, "a new page under the old event channel") {
    auto guest = connect(1);
    const auto path = std::string{"/local/domain/1/device/vtpm/0/"};
    xen.store().write(path + "state", "4", {});
    settle_all();
    auto page = std::make_shared<xenio::simulated::page_memory>();
    const auto ref = xen.grant(1, page);
    xen.store().write(path + "ring-ref", std::to_string(ref), {});
    settle_all();
    CHECK(guest->backend_state() == xenbus_state::connected);
    CHECK(xen.mappings() == 1);
    CHECK(xen.bindings() == 1);
    // The new page is the one that is served.
    const auto request = make_request(scripted::read);
    std::copy(request.begin(), request.end(), page->octets.begin() + 8);
    page->octets[0] = 10;
    page->octets[4] = 1;
    guest->ring();
    settle_all();
    CHECK(page->octets[4] == 2);
  }

  TEST_CASE_FIXTURE(world, "a domain's whole directory is removed at once") {
    auto guest = connect(1);
    auto other = connect(2);
    xen.store().remove("backend/vtpm/1", {});
    settle_all();
    CHECK(xen.mappings() == 1);
    serve_one(*this, *other);
  }

  TEST_CASE_FIXTURE(world,
                    "a device removed and made again between two looks") {
    auto guest = connect(1);
    xen.store().remove("backend/vtpm/1/0", {});
    xenio::simulated::guest again{xen, 1};
    settle_all();
    again.publish();
    settle_all();
    CHECK(again.backend_state() == xenbus_state::connected);
    serve_one(*this, again);
  }

  TEST_CASE_FIXTURE(world, "a destroyed domain leaves nothing behind") {
    auto guest = connect(1);
    auto other = connect(2);
    guest->submit(0, make_request(scripted::increment));
    guest->die();
    run_to_end();
    CHECK(xen.mappings() == 1);
    CHECK(xen.bindings() == 1);
    CHECK(reports().present.size() == 1);
    serve_one(*this, *other);
  }

  TEST_CASE_FIXTURE(world, "a domain that dies while its command runs") {
    auto guest = connect(1);
    guest->submit(0, make_request(scripted::increment));
    settle_all();
    CHECK(committer->busy());
    guest->die();
    settle_all();
    CHECK(xen.mappings() == 0);
    run_to_end();
    CHECK(stored_counter() == 1);
  }

  TEST_CASE_FIXTURE(world, "the toolstack removes a device") {
    auto guest = connect(1);
    const auto path = std::string{"backend/vtpm/1/0"};
    xen.store().write(path + "/online", "0", {});
    xen.store().write(path + "/state", "5", {});
    settle_all();
    CHECK(guest->backend_state() == xenbus_state::closed);
    CHECK(xen.mappings() == 0);
    xen.store().remove(path, {});
    settle_all();
    CHECK(stats_names().count("ring 1/0") == 0);
  }

  TEST_CASE_FIXTURE(world,
                    "a page that cannot be mapped refuses its frontend") {
    auto good = connect(2);
    xenio::simulated::guest guest{xen, 1};
    xen.inject.failing_maps = 1;
    guest.publish();
    settle_all();
    CHECK(guest.backend_state() == xenbus_state::closed);
    // The next offer is tried.
    guest.publish();
    settle_all();
    CHECK(guest.backend_state() == xenbus_state::connected);
    serve_one(*this, guest);
    serve_one(*this, *good);
  }

  TEST_CASE_FIXTURE(world, "a channel that cannot be bound lets the page go") {
    xenio::simulated::guest guest{xen, 1};
    xen.inject.failing_binds = 1;
    guest.publish();
    settle_all();
    CHECK(guest.backend_state() == xenbus_state::closed);
    CHECK(xen.mappings() == 0);
    guest.close();
    settle_all();
    CHECK(guest.backend_state() == xenbus_state::init_wait);
  }

  TEST_CASE_FIXTURE(world, "garbage in a frontend's keys refuses it, once") {
    auto good = connect(2);
    const auto path = std::string{"/local/domain/1/device/vtpm/0/"};
    xenio::simulated::guest guest{xen, 1};
    settle_all();
    for (auto name : {"ring-ref", "event-channel", "feature-protocol-v2"})
      for (auto text : {"", "garbage", "-1", "99999999999"}) {
        CAPTURE(name);
        CAPTURE(text);
        xen.store().write(path + "feature-protocol-v2", "1", {});
        xen.store().write(path + "ring-ref", "1", {});
        xen.store().write(path + "event-channel", "1", {});
        xen.store().write(path + name, text, {});
        xen.store().write(path + "state", "3", {});
        settle_all();
        CHECK(guest.backend_state() == xenbus_state::closed);
      }
    serve_one(*this, *good);
    guest.publish();
    settle_all();
    serve_one(*this, guest);
  }

  TEST_CASE_FIXTURE(world, "nodes that are no devices are passed over") {
    for (auto path : {"backend/vtpm/x/0/state", "backend/vtpm/1/y/state",
                      "backend/vtpm/99999/0/state", "backend/vtpm/-1/0/state"})
      xen.store().set(path, "1");
    settle_all();
    auto good = connect(2);
    serve_one(*this, *good);
  }

  TEST_CASE_FIXTURE(world, "lost events delay only their own guest") {
    auto deaf = connect(1);
    auto good = connect(2);
    xen.inject.events_to_backend
      = [](xenio::domid domain) { return domain == 1 ? 0u : 1u; };
    deaf->submit(0, make_request(scripted::increment));
    serve_one(*this, *good);
    CHECK_FALSE(deaf->take_response());
    xen.inject.events_to_backend = {};
    deaf->ring();
    run_to_end();
    CHECK(deaf->take_response());
  }

  TEST_CASE_FIXTURE(world, "three and more devices of several domains") {
    std::vector<std::unique_ptr<xenio::simulated::guest>> guests;
    for (xenio::domid domain = 1; domain <= 4; ++domain)
      for (std::uint32_t handle : {0u, 1u, 7u})
        guests.push_back(connect(domain, handle));
    for (auto& guest : guests)
      serve_one(*this, *guest);
    CHECK(xen.mappings() == 12);
    CHECK(script->counter == 12);
  }

  TEST_CASE_FIXTURE(world, "what a frontend did counts beyond its connection") {
    auto guest = connect(1);
    serve_one(*this, *guest);
    guest->submit(200, make_request(scripted::increment));
    run_to_end();
    guest->close();
    settle_all();
    xen.inject.failing_maps = 1;
    guest->publish();
    settle_all();
    auto closed = report_of(*guest);
    CHECK(closed.state == actors::frontend_state::refused);
    CHECK(closed.commands == 2);
    CHECK(closed.denied == 1);
    CHECK(closed.refused == 1);
    guest->publish();
    settle_all();
    serve_one(*this, *guest);
    CHECK(report_of(*guest).commands == 3);
    CHECK(report_of(*guest).latency.count() == 3);
    CHECK(reports().gone == 0);
    guest->die();
    settle_all();
    const auto after = reports();
    CHECK(after.present.empty());
    CHECK(after.gone == 1);
    CHECK(after.gone_counters.commands == 3);
    CHECK(after.gone_counters.denied == 1);
    CHECK(after.gone_counters.refused == 1);
  }

  TEST_CASE_FIXTURE(world, "what is no device yet counts for nothing") {
    xen.store().set("backend/vtpm/1/0", "");
    settle_all();
    CHECK(reports().present.empty());
    CHECK(reports().gone == 0);
  }

  TEST_CASE_FIXTURE(world, "every actor is in the report") {
    auto guest = connect(1);
    serve_one(*this, *guest);
    const auto names = stats_names();
    CHECK(names.count("ring 1/0") == 1);
  }
}
