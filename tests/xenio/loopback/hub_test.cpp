// Goal: a process gets exactly what a guest gets on Xen: nodes, states, one
// page, one channel, and an end.
// Method: one thread; the hub's loop is turned by hand between two steps.

#include "xenio/loopback/hub.hpp"

#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "tests/xenio/loopback/hub_fixture.hpp"

using namespace vtpm;
using namespace vtpm::xenio;
using tests::hub_fixture;
using tests::ring_guest;
namespace wire = loopback::wire;

namespace {

const auto request = byte_vector{1, 2, 3};
const auto response = byte_vector{3, 2, 1};
const std::string backend_dir = "/local/domain/0/backend/vtpm/7/0";
const std::string frontend_dir = "/local/domain/7/device/vtpm/0";

} // namespace

TEST_SUITE("xenio/loopback/hub") {
  // -- connecting -------------------------------------------------------------

  TEST_CASE_FIXTURE(hub_fixture, "a claim makes the device's nodes") {
    auto guest = claim(7, 0, "01234567-89AB-cdef-0123-456789abcdef");
    CHECK(guest.is_accepted());
    CHECK(node(backend_dir + "/frontend") == frontend_dir);
    CHECK(node(backend_dir + "/uuid")
          == "01234567-89ab-cdef-0123-456789abcdef");
    CHECK(node(frontend_dir + "/backend") == backend_dir);
    CHECK(node(frontend_dir + "/state") == "1");
    CHECK(guest.backend_state() == xenbus_state::init_wait);
    CHECK(guest.backend_speaks_v2());
  }

  TEST_CASE_FIXTURE(hub_fixture, "a request gets its response") {
    ring_guest guest{*this, 7};
    CHECK(guest.link.backend_state() == xenbus_state::connected);
    CHECK(guest.transact(request) == response);
    CHECK(guest.transact(byte_vector(4088, 9)) == byte_vector(4088, 9));
    CHECK(loopback::drain(guest.bell.get()).count == 2);
  }

  TEST_CASE_FIXTURE(hub_fixture, "a request already in the page is found") {
    auto link = claim(7);
    auto page = loopback::guest_page::make();
    auto bell = loopback::make_doorbell();
    REQUIRE(page);
    REQUIRE(bell);
    REQUIRE(place_request(**page, 0, request));
    REQUIRE(link.publish((*page)->file(), bell->far_end.get()));
    loop.settle();
    CHECK(*collect_response(**page) == response);
  }

  TEST_CASE_FIXTURE(hub_fixture, "only a frontend's own nodes can be written") {
    for (auto key : {"ring-ref", "event-channel", "feature-protocol-v2"}) {
      auto guest = claim(7);
      REQUIRE(guest.write(key, "any\ntext"));
      loop.settle();
      CHECK(node(frontend_dir + '/' + key) == "any\ntext");
      REQUIRE(guest.send(wire::encode(wire::node{key, std::nullopt})));
      CHECK(hear(guest));
      CHECK(node(frontend_dir + '/' + key) == std::nullopt);
    }
    for (auto key : {"backend", "backend-id", "handle", "online", "stat",
                     "state/x", "../x", "/local/domain/0/x"}) {
      CAPTURE(key);
      auto guest = claim(7);
      REQUIRE(guest.write(key, "1"));
      CHECK_FALSE(hear(guest));
      REQUIRE(guest.refusal());
      CHECK(guest.refusal()->code == wire::refusal_code::denied);
    }
  }

  TEST_CASE_FIXTURE(hub_fixture, "a device closes and connects again") {
    ring_guest guest{*this, 7};
    for (auto round = 0; round < 5; ++round) {
      CAPTURE(round);
      REQUIRE(guest.link.write_state(xenbus_state::closing));
      CHECK(hear(guest.link));
      CHECK(guest.link.backend_state() == xenbus_state::closing);
      REQUIRE(guest.link.write_state(xenbus_state::closed));
      CHECK(hear(guest.link));
      CHECK(guest.link.backend_state() == xenbus_state::init_wait);
      CHECK(backend->connected() == 0);
      if (round % 2 == 0)
        guest.page = *loopback::guest_page::make();
      guest.publish();
      // Of the numbers offered, only the latest are kept.
      CHECK(guest.link.backend_state() == xenbus_state::connected);
      CHECK(guest.transact(request) == response);
    }
  }

  // -- ends -------------------------------------------------------------------

  TEST_CASE_FIXTURE(hub_fixture, "the end of a process is the guest's end") {
    {
      ring_guest guest{*this, 7};
      ring_guest other{*this, 8};
      CHECK(backend->connected() == 2);
    }
    ring_guest other{*this, 8};
    loop.settle();
    CHECK(backend->connected() == 1);
    CHECK(node("/local/domain/0/backend/vtpm/7") == std::nullopt);
    CHECK(node("/local/domain/7") == std::nullopt);
    CHECK(other.transact(request) == response);
  }

  TEST_CASE_FIXTURE(hub_fixture, "everything is given back at the end") {
    const auto before = tests::open_descriptors();
    for (auto round = 0; round < 20; ++round) {
      ring_guest first{*this, 7};
      ring_guest second{*this, 7, 1};
      CHECK(first.transact(request) == response);
    }
    loop.settle();
    CHECK(tests::open_descriptors() == before);
    CHECK(backend->known() == 0);
    CHECK(loop.watched() == 1); // the listener
  }

  TEST_CASE_FIXTURE(hub_fixture, "the hub's end is the connection's end") {
    ring_guest guest{*this, 7};
    stop();
    auto updated = guest.link.update();
    REQUIRE_FALSE(updated);
    CHECK(updated.error().code == errc::gone);
    CHECK(loopback::drain(guest.bell.get()).closed);
    CHECK_FALSE(loopback::ring(guest.bell.get()));
    CHECK(loop.watched() == 0);
    CHECK_FALSE(std::filesystem::exists(socket_path()));
  }

  TEST_CASE_FIXTURE(hub_fixture, "a page outlives guest and hub while mapped") {
    std::unique_ptr<shared_page> view;
    {
      ring_guest guest{*this, 7};
      const auto ref = std::stoul(*node(frontend_dir + "/ring-ref"));
      auto mapped = hub->grants().map(7, static_cast<grant_ref>(ref));
      REQUIRE(mapped);
      view = *std::move(mapped);
    }
    stop();
    CHECK(view->copy_out(0, byte_vector(protocol::page_size, 1)));
    CHECK(view->load_state() == 1);
  }

  // -- who has what -----------------------------------------------------------

  TEST_CASE_FIXTURE(hub_fixture, "a frontend can be claimed once at a time") {
    std::optional<ring_guest> first{std::in_place, *this, 7};
    auto second = claim(7);
    CHECK_FALSE(second.is_accepted());
    REQUIRE(second.refusal());
    CHECK(second.refusal()->code == wire::refusal_code::claimed);
    CHECK(second.refusal()->reason.find("7/0") != std::string::npos);
    CHECK(first->transact(request) == response);
    CHECK(claim(7, 1).is_accepted());
    CHECK(claim(8, 0).is_accepted());
    first.reset();
    loop.settle();
    ring_guest third{*this, 7};
    CHECK(third.transact(request) == response);
  }

  TEST_CASE_FIXTURE(hub_fixture, "a holder that has just gone is no obstacle") {
    std::optional first{claim(7)};
    REQUIRE(first->is_accepted());
    auto second = open();
    loop.settle();
    // The hub sees the claim first and the end of the holder after it.
    REQUIRE(second.send(wire::encode(wire::claim{1, 7, 0, default_uuid})));
    first.reset();
    CHECK(hear(second));
    CHECK(second.is_accepted());
  }

  TEST_CASE_FIXTURE(hub_fixture, "a claim waits until the backend has let go") {
    backend->is_clinging = true;
    { ring_guest first{*this, 7}; }
    auto early = claim(7);
    CHECK_FALSE(early.is_accepted());
    REQUIRE(early.refusal());
    CHECK(early.refusal()->code == wire::refusal_code::closing);
    backend->is_clinging = false;
    backend->forget_all();
    ring_guest second{*this, 7};
    CHECK(second.transact(request) == response);
  }

  TEST_CASE_FIXTURE(hub_fixture, "a connection has one claim") {
    auto guest = claim(7);
    REQUIRE(guest.send(wire::encode(wire::claim{1, 8, 0, default_uuid})));
    CHECK_FALSE(hear(guest));
    CHECK(guest.refusal());
    CHECK(node(backend_dir) == std::nullopt);
  }

  TEST_CASE_FIXTURE(hub_fixture, "rules say which frontend a user may claim") {
    const std::string uuid = "01234567-89ab-cdef-0123-456789abcdef";
    const auto me = ::geteuid();
    start({{me, 7, {}, {}},
           {me, {}, 3, {}},
           {me, {}, {}, "01234567-89AB-CDEF-0123-456789ABCDEF"},
           {me + 1, {}, {}, {}}});
    CHECK(claim(7, 0).is_accepted());
    CHECK(claim(7, 1).is_accepted());
    CHECK(claim(8, 3).is_accepted());
    CHECK(claim(8, 4, uuid).is_accepted());
    auto other = claim(8, 4);
    CHECK_FALSE(other.is_accepted());
    REQUIRE(other.refusal());
    CHECK(other.refusal()->code == wire::refusal_code::denied);
  }

  TEST_CASE_FIXTURE(hub_fixture, "a user without a rule has no frontend") {
    start({{::geteuid() + 1, {}, {}, {}}});
    auto guest = claim(7);
    CHECK_FALSE(guest.is_accepted());
    REQUIRE(guest.refusal());
    CHECK(guest.refusal()->code == wire::refusal_code::denied);
  }

  TEST_CASE_FIXTURE(hub_fixture, "reserved domain numbers are nobody's") {
    CHECK(claim(0x7FEF).is_accepted());
    for (unsigned domain : {0x7FF0u, 0x7FFFu, 0x8000u, 0xFFFFu})
      CHECK_FALSE(claim(static_cast<domid>(domain)).is_accepted());
  }

  TEST_CASE_FIXTURE(hub_fixture, "there is a most of frontends") {
    start({}, {3});
    std::vector<loopback::raw_frontend> guests;
    for (domid domain = 1; domain <= 3; ++domain)
      guests.push_back(claim(domain));
    auto fourth = claim(4);
    REQUIRE(fourth.refusal());
    CHECK(fourth.refusal()->code == wire::refusal_code::full);
    guests.pop_back();
    CHECK(claim(4).is_accepted());
  }

  TEST_CASE_FIXTURE(hub_fixture, "numbers are good in their own domain only") {
    ring_guest guest{*this, 7};
    const auto number = [this](const std::string& key) {
      return static_cast<std::uint32_t>(
        std::stoul(*node(frontend_dir + '/' + key)));
    };
    CHECK(hub->grants().map(7, number("ring-ref")));
    auto foreign = hub->grants().map(8, number("ring-ref"));
    REQUIRE_FALSE(foreign);
    CHECK(foreign.error().code == errc::bad_grant);
    auto other_port = hub->events().bind(8, number("event-channel"), [] {});
    REQUIRE_FALSE(other_port);
    CHECK(other_port.error().code == errc::bad_channel);
    auto second_bind = hub->events().bind(7, number("event-channel"), [] {});
    REQUIRE_FALSE(second_bind);
    CHECK(second_bind.error().code == errc::bad_channel);
  }

  TEST_CASE_FIXTURE(hub_fixture, "a device cannot take a sibling's number") {
    ring_guest guest{*this, 7};
    auto ref
      = static_cast<grant_ref>(std::stoul(*node(frontend_dir + "/ring-ref")));
    auto sibling = claim(7, 1);
    REQUIRE(sibling.offer_page(ref, guest.page->file()));
    CHECK_FALSE(hear(sibling));
    CHECK(sibling.refusal());
    auto stranger = claim(8);
    REQUIRE(stranger.offer_page(ref, guest.page->file()));
    CHECK(hear(stranger));
    CHECK(guest.transact(request) == response);
  }

  // -- the socket -------------------------------------------------------------

  TEST_CASE_FIXTURE(hub_fixture, "the socket is for user and group") {
    const auto umask = ::umask(0);
    start();
    struct stat status = {};
    REQUIRE(::stat(socket_path().c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0660);
    ::umask(0177);
    start();
    REQUIRE(::stat(socket_path().c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0660);
    ::umask(umask);
  }

  TEST_CASE_FIXTURE(hub_fixture, "a stale socket is replaced, a live one not") {
    auto second = loopback::hub::listen(loop, socket_path(), {});
    REQUIRE_FALSE(second);
    CHECK(second.error().detail.find(socket_path()) != std::string::npos);
    CHECK(claim(7).is_accepted());
    // A crash leaves the file.
    std::filesystem::create_hard_link(socket_path(), socket_path() + ".kept");
    stop();
    std::filesystem::rename(socket_path() + ".kept", socket_path());
    start();
    CHECK(claim(7).is_accepted());
  }

  TEST_CASE_FIXTURE(hub_fixture, "what is no socket is left alone") {
    stop();
    std::ofstream{socket_path()} << "precious";
    auto refused = loopback::hub::listen(loop, socket_path(), {});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::io);
    CHECK(std::filesystem::file_size(socket_path()) == 8);
    std::filesystem::remove(socket_path());
  }

  TEST_CASE_FIXTURE(hub_fixture, "a successor's socket is left alone") {
    std::filesystem::remove(socket_path());
    auto successor = loopback::hub::listen(loop, socket_path(), {});
    REQUIRE(successor);
    stop();
    CHECK(std::filesystem::exists(socket_path()));
  }

  TEST_CASE_FIXTURE(hub_fixture,
                    "a path that cannot be a socket's is an error") {
    for (const auto& path :
         {std::string{}, std::string(108, 'x'),
          (directory.path() / "none" / "vtpmd.sock").string()}) {
      auto refused = loopback::hub::listen(loop, path, {});
      REQUIRE_FALSE(refused);
      CHECK(refused.error().code == errc::io);
    }
  }
}
