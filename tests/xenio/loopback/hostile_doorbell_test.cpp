// Goal: no doorbell blocks vtpmd, keeps it busy, or delays another guest.

#include <array>

#include <doctest/doctest.h>

#include "tests/xenio/loopback/hostile_fixture.hpp"
#include "xenio/loopback/message_socket.hpp"

using namespace vtpm;
using namespace vtpm::xenio;
using xenio::descriptor;
using tests::flood;
using tests::hostile_fixture;
using tests::memory_file;
using tests::page_seals;
using tests::ring_guest;

namespace {

const auto request = byte_vector{1, 2, 3};
const auto response = byte_vector{3, 2, 1};

} // namespace

TEST_SUITE("xenio/loopback/hostile_doorbell") {
  TEST_CASE_FIXTURE(hostile_fixture,
                    "what is no local packet socket is no doorbell") {
    std::array<int, 2> ends;
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const descriptor pipe_out{ends[0]};
    const descriptor pipe_in{ends[1]};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data())
            == 0);
    const descriptor stream{ends[0]};
    const descriptor stream_end{ends[1]};
    REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends.data())
            == 0);
    const descriptor datagram{ends[0]};
    const descriptor datagram_end{ends[1]};
    const descriptor tcp{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const descriptor udp{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    const descriptor unconnected{
      ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
    const descriptor file{::open("/dev/null", O_RDWR | O_CLOEXEC)};
    const auto memory = memory_file(4096, page_seals);
    for (const auto* one : {&pipe_out, &pipe_in, &stream, &datagram,
                            &unconnected, &tcp, &udp, &file, &memory})
      CHECK(refused_doorbell(one->get()).code == errc::bad_channel);
  }

  TEST_CASE_FIXTURE(hostile_fixture,
                    "a doorbell without another end is let be") {
    ring_guest guest{*this, 7};
    guest.bell.reset();
    CHECK(loop.settle() < 1000);
    backend->notify_all();
    CHECK(loop.settle() < 1000);
    REQUIRE(guest.link.write_state(xenbus_state::closed));
    CHECK(loop.settle() < 1000);
    guest.publish();
    CHECK(guest.transact(request) == response);
  }

  TEST_CASE_FIXTURE(hostile_fixture,
                    "a guest that hears nothing blocks nobody") {
    ring_guest guest{*this, 7};
    for (auto i = 0; i < 100'000; ++i)
      backend->notify_all();
    // The last ring of all is heard: there is room for one at least.
    CHECK(loopback::drain(guest.bell.get()).count == loopback::rings_max);
    while (loopback::drain(honest->bell.get()).count > 0)
      continue;
  }

  TEST_CASE_FIXTURE(hostile_fixture, "a blocking doorbell blocks nobody") {
    ring_guest guest{*this, 7};
    // The guest has kept the other end, whose flags it shares with vtpmd.
    auto pair = loopback::make_doorbell();
    REQUIRE(pair);
    REQUIRE(guest.link.write_state(xenbus_state::closed));
    loop.settle();
    REQUIRE(guest.link.publish(guest.page->file(), pair->far_end.get()));
    CHECK(hear(guest.link));
    for (auto flags : {0, O_NONBLOCK}) {
      REQUIRE(::fcntl(pair->far_end.get(), F_SETFL, flags) == 0);
      for (auto i = 0; i < 10'000; ++i)
        backend->notify_all();
      loopback::ring(pair->near_end.get());
      CHECK(loop.settle() < 1000);
    }
    while (loopback::drain(honest->bell.get()).count > 0)
      continue;
  }

  TEST_CASE_FIXTURE(hostile_fixture, "a storm on one doorbell delays nobody") {
    ring_guest guest{*this, 7};
    const auto rings = flood(guest.bell.get(), byte_vector{1});
    REQUIRE(rings > 2 * loopback::rings_max);
    const auto before = backend->events_seen;
    CHECK(honest_is_served_in_one_turn());
    // One look at the storm, one at the honest guest.
    CHECK(backend->events_seen <= before + 2);
    loop.settle();
    // Some looks take one ring, until there are many.
    const auto looks = rings / loopback::rings_max + 2 + 8;
    CHECK(backend->events_seen <= before + 1 + static_cast<int>(looks));
  }

  TEST_CASE_FIXTURE(hostile_fixture,
                    "rings of any size and content are rings") {
    ring_guest guest{*this, 7};
    const auto before = backend->events_seen;
    const byte_vector big(60'000, 0xFF);
    REQUIRE(::send(guest.bell.get(), big.data(), big.size(), 0) > 0);
    loop.settle();
    CHECK(backend->events_seen == before + 1);
    // With descriptors, too: nobody takes them.
    const std::array<int, 2> files = {guest.page->file(), guest.page->file()};
    REQUIRE(loopback::send_packet(guest.bell.get(), byte_vector{1}, files));
    loop.settle();
    CHECK(backend->events_seen == before + 2);
    CHECK(guest.transact(request) == response);
  }

  // A connection whose own end vtpmd keeps would outlive its process.

  TEST_CASE_FIXTURE(hostile_fixture, "one's own connection is no doorbell") {
    auto guest = claim(7);
    auto page = loopback::guest_page::make();
    REQUIRE(page);
    REQUIRE(guest.publish((*page)->file(), guest.socket()));
    CHECK(hear(guest));
    REQUIRE(backend->last_error);
    CHECK(backend->last_error->code == errc::bad_channel);
  }

  TEST_CASE_FIXTURE(hostile_fixture, "one's own connection is no page") {
    auto guest = claim(7);
    CHECK(guest.offer_page(1, guest.socket()));
    CHECK(hear(guest));
  }

  TEST_CASE_FIXTURE(hostile_fixture,
                    "a connection hidden in a message is found") {
    auto guest = claim(7);
    const auto self = guest.socket();
    REQUIRE(guest.send(byte_vector{4}, {&self, 1}));
  }

  TEST_CASE_FIXTURE(hostile_fixture,
                    "a connection hidden in a doorbell is found") {
    auto guest = claim(7);
    auto page = loopback::guest_page::make();
    auto bell = loopback::make_doorbell();
    REQUIRE(page);
    REQUIRE(bell);
    const auto self = guest.socket();
    SUBCASE("that is bound") {
      REQUIRE(guest.publish((*page)->file(), bell->far_end.get()));
      loop.settle();
    }
    SUBCASE("that is not bound yet") {
      REQUIRE(guest.offer_doorbell(1, bell->far_end.get()));
    }
    SUBCASE("that pretends to be closed") {
      REQUIRE(guest.publish((*page)->file(), bell->far_end.get()));
      loop.settle();
      REQUIRE(::send(bell->near_end.get(), "", 0, 0) == 0);
    }
    SUBCASE("that has pretended to be closed") {
      REQUIRE(guest.publish((*page)->file(), bell->far_end.get()));
      REQUIRE(::send(bell->near_end.get(), "", 0, 0) == 0);
      loop.settle();
    }
    for (auto i = 0; i < 40; ++i)
      (void)loopback::send_packet(bell->near_end.get(), byte_vector{1},
                                  {&self, 1});
  }
}
