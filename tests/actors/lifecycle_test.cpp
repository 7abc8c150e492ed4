// Goal: a device lives as toolstack, guest and our own restarts will have it,
// from the appearance of its nodes to their end.
// Method: the whole domain on a simulated hypervisor; the test is toolstack and
// guest.

#include "actors/supervisor.hpp"

#include "tests/actors/lifecycle_fixture.hpp"
#include "tests/printing.hpp"

using namespace vtpm;
using namespace vtpm::tests;
using actors::frontend_state;
using xenio::xenbus_state;
using world = lifecycle_fixture;

namespace {

actors::locality_rule rule(std::string_view text) {
  std::string problem;
  auto read = actors::locality_rule::parse(text, problem);
  REQUIRE_MESSAGE(read, problem);
  return *read;
}

/// Returns the result of a command at `locality`.
std::uint32_t result_at(world& domain, xenio::simulated::guest& guest,
                        std::uint8_t locality) {
  guest.submit(locality, make_request(scripted::read));
  domain.run_to_end();
  const auto response = guest.take_response();
  REQUIRE(response);
  return result_of(*response);
}

constexpr std::uint32_t rc_locality = 0x907;

} // namespace

TEST_SUITE("actors/lifecycle") {
  // -- our own start and restart ----------------------------------------------

  TEST_CASE_FIXTURE(world, "devices that are there at our start are served") {
    kill_supervisor();
    xenio::simulated::guest waiting{xen, 5};
    xenio::simulated::guest early{xen, 6};
    early.submit(0, make_request(scripted::increment));
    early.publish();
    spawn_supervisor({});
    run_to_end();
    CHECK(waiting.backend_state() == xenbus_state::init_wait);
    CHECK(early.take_response());
    waiting.publish();
    settle_all();
    serve_one(waiting);
  }

  TEST_CASE_FIXTURE(world, "a restart takes over without the guest's doing") {
    auto guest = connect(5);
    serve_one(*guest);
    kill_supervisor();
    guest->set_state(xenbus_state::connected);
    guest->submit(0, make_request(scripted::increment));
    std::vector<std::string> states;
    const auto watch = xen.store().watch(
      xenio::backend_path(5, 0) + "/state", [&](const std::string& path) {
        states.push_back(xen.store().get(path).value_or("none"));
      });
    spawn_supervisor({});
    run_to_end();
    CHECK(guest->take_response());
    for (const auto& state : states)
      CHECK(state == "4");
    xen.store().unwatch(watch);
  }

  TEST_CASE_FIXTURE(world, "a restart follows what happened meanwhile") {
    auto closed = connect(5);
    auto renewed = connect(6);
    auto dead = connect(7);
    kill_supervisor();
    closed->close();
    renewed->renew_page();
    renewed->publish();
    dead->die();
    spawn_supervisor({});
    settle_all();
    CHECK(closed->backend_state() == xenbus_state::init_wait);
    serve_one(*renewed);
    CHECK(xen.mappings() == 1);
    CHECK(reports().present.size() == 2);
  }

  TEST_CASE_FIXTURE(world, "a restart between Closing and Closed") {
    auto guest = connect(5);
    guest->set_state(xenbus_state::closing);
    settle_all();
    CHECK(guest->backend_state() == xenbus_state::closing);
    kill_supervisor();
    guest->set_state(xenbus_state::closed);
    spawn_supervisor({});
    settle_all();
    CHECK(guest->backend_state() == xenbus_state::init_wait);
    guest->publish();
    settle_all();
    serve_one(*guest);
  }

  // -- builders and their nodes -----------------------------------------------

  TEST_CASE_FIXTURE(world, "the frontend is where its key says") {
    xenio::simulated::guest guest{xen, 5};
    const std::string usual = xenio::frontend_path(5, 0);
    const std::string unusual = "/local/domain/5/somewhere/else";
    xen.store().set(xenio::backend_path(5, 0) + "/frontend", unusual);
    guest.publish();
    settle_all();
    CHECK(guest.backend_state() == xenbus_state::init_wait);
    for (auto name :
         {"/ring-ref", "/event-channel", "/feature-protocol-v2", "/state"})
      xen.store().set(unusual + name, *xen.store().get(usual + name));
    settle_all();
    CHECK(guest.backend_state() == xenbus_state::connected);
    serve_one(guest);
    // The builder moves it.
    xen.store().set(unusual + "/state", "6");
    xen.store().set(xenio::backend_path(5, 0) + "/frontend", usual);
    settle_all();
    CHECK(guest.backend_state() == xenbus_state::connected);
    serve_one(guest);
  }

  TEST_CASE_FIXTURE(world, "a frontend moves while its old place changes") {
    xenio::simulated::guest guest{xen, 5};
    const std::string unusual = "/local/domain/5/somewhere/else";
    const auto place = xenio::backend_path(5, 0) + "/frontend";
    xen.store().set(place, unusual);
    guest.publish();
    settle_all();
    xen.store().set(place, xenio::frontend_path(5, 0));
    loop.run_until_idle();
    // The supervisor has yet to look, and hears of this once it looks.
    xen.store().set(unusual + "/state", "1");
    settle_all();
    CHECK(guest.backend_state() == xenbus_state::connected);
  }

  TEST_CASE_FIXTURE(world, "nodes written one by one, in any order") {
    for (auto order : {std::vector{"state", "uuid", "frontend"},
                       std::vector{"frontend", "uuid", "state"},
                       std::vector{"uuid", "state", "frontend"}}) {
      const auto path = xenio::backend_path(5, 0);
      for (std::string name : order) {
        xen.store().set(path + "/" + name,
                        name == "frontend"  ? xenio::frontend_path(5, 0)
                          : name == "state" ? "1"
                                            : uuid_number(3));
        settle_all();
      }
      CHECK(backend_key(5, "/state") == "2");
      CHECK(reports().present.size() == 1);
      xen.store().erase(path);
      settle_all();
      CHECK(reports().present.empty());
    }
  }

  TEST_CASE_FIXTURE(world, "a frontend key that is no path is none") {
    auto good = connect(2);
    for (auto text : {"", "device/vtpm/0", "garbage"}) {
      xen.store().set(xenio::backend_path(5, 0) + "/frontend", text);
      xen.store().set(xenio::backend_path(5, 0) + "/state", "1");
      settle_all();
      CHECK(reports().present.size() == 1);
    }
    serve_one(*good);
  }

  // -- the guest --------------------------------------------------------------

  TEST_CASE_FIXTURE(world, "a frontend whose nodes cannot be read is let go") {
    auto guest = connect(5);
    xen.store().erase("/local/domain/5");
    settle_all();
    CHECK(xen.mappings() == 0);
    CHECK(xen.bindings() == 0);
    CHECK(guest->backend_state() == xenbus_state::init_wait);
    CHECK(report_of(*guest).state == frontend_state::waiting);
    guest->publish();
    settle_all();
    serve_one(*guest);
  }

  TEST_CASE_FIXTURE(world, "garbage in a frontend's state lets it go") {
    for (auto text : {"", "0", "7", "99", "four", "4 "}) {
      CAPTURE(text);
      auto guest = connect(5);
      xen.store().set(xenio::frontend_path(5, 0) + "/state", text);
      settle_all();
      CHECK(xen.mappings() == 0);
      CHECK(guest->backend_state() == xenbus_state::init_wait);
      guest->publish();
      settle_all();
      serve_one(*guest);
      guest->die();
      settle_all();
    }
  }

  TEST_CASE_FIXTURE(world, "an old protocol is refused and said to be") {
    xenio::simulated::guest guest{xen, 5};
    guest.publish();
    xen.store().erase(xenio::frontend_path(5, 0) + "/feature-protocol-v2");
    settle_all();
    CHECK(guest.backend_state() == xenbus_state::closed);
    CHECK(report_of(guest).state == frontend_state::refused);
    guest.close();
    settle_all();
    CHECK(guest.backend_state() == xenbus_state::init_wait);
    CHECK(report_of(guest).state == frontend_state::waiting);
  }

  // -- who is who -------------------------------------------------------------

  TEST_CASE("a guest and its stub domain share, at localities of their own") {
    world domain{{rule("domid=5:0"), rule("domid=6:0,2")}};
    auto guest = domain.connect(5);
    auto stub = domain.connect(6);
    for (std::uint8_t locality : byte_vector{0, 2, 1}) {
      CAPTURE(locality);
      CHECK(result_at(domain, *guest, locality)
            == (locality == 0 ? 0 : rc_locality));
      CHECK(result_at(domain, *stub, locality)
            == (locality != 1 ? 0 : rc_locality));
    }
    domain.serve_one(*guest);
    CHECK(domain.report_of(*guest).denied == 2);
    CHECK(domain.report_of(*stub).denied == 1);
  }

  TEST_CASE("rules match the uuid of the backend's node, in either case") {
    const std::string own = "abcdefab-0000-0000-0000-000000000001";
    world domain{{rule("uuid=" + own + ":0,3")}};
    auto named = domain.connect(5, 0, "ABCDEFAB-0000-0000-0000-000000000001");
    CHECK(result_at(domain, *named, 3) == 0);
    CHECK(domain.report_of(*named).uuid == own);
    // What a guest calls itself means nothing.
    xenio::simulated::guest liar{domain.xen, 6};
    domain.xen.store().set(xenio::frontend_path(6, 0) + "/uuid", own);
    liar.publish();
    domain.settle_all();
    CHECK(result_at(domain, liar, 3) == rc_locality);
    // Nor is what is no uuid.
    auto nameless = domain.connect(7, 0, own + "0");
    CHECK(result_at(domain, *nameless, 3) == rc_locality);
    CHECK(domain.report_of(*nameless).uuid.empty());
  }
}
