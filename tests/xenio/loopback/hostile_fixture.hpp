#pragma once

#include <optional>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "tests/xenio/loopback/hub_fixture.hpp"

namespace vtpm::tests {

inline constexpr auto page_seals = F_SEAL_SHRINK | F_SEAL_GROW;

/// Makes a memory file of any size and seals.
inline xenio::descriptor memory_file(off_t size, int seals) {
  xenio::descriptor file{
    ::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  REQUIRE(::ftruncate(file.get(), size) == 0);
  if (seals != 0)
    REQUIRE(::fcntl(file.get(), F_ADD_SEALS, seals) == 0);
  return file;
}

/// Sends without waiting until there is no room; returns how often that worked.
inline std::size_t flood(int socket, byte_view octets) {
  std::size_t count = 0;
  while (
    ::send(socket, octets.data(), octets.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
    >= 0)
    ++count;
  return count;
}

/// A hub with one honest guest, who is served before and after each test;
/// nothing of the dishonest ones may be left then.
struct hostile_fixture : hub_fixture {
  hostile_fixture() {
    restart();
  }

  ~hostile_fixture() {
    loop.settle();
    check_honest();
    CHECK(backend->connected() == 1);
    CHECK(backend->known() == 1);
    CHECK(open_descriptors() == descriptors);
  }

  /// Starts again, under other rules; the honest guest comes back.
  void restart(rules who = {}, xenio::loopback::hub_limits limits = {}) {
    honest.reset();
    start(std::move(who), limits);
    honest.emplace(*this, xenio::domid{1});
    check_honest();
    descriptors = open_descriptors();
  }

  void check_honest() {
    CHECK(honest->transact(byte_vector{1, 2, 3}) == byte_vector{3, 2, 1});
  }

  /// Submits and turns the loop once: whether the honest guest is served then.
  bool honest_is_served_in_one_turn() {
    REQUIRE(xenio::place_request(*honest->page, 0, byte_vector{1, 2, 3}));
    xenio::loopback::ring(honest->bell.get());
    loop.turn(std::chrono::milliseconds{0});
    return xenio::is_free(*honest->page);
  }

  /// Presents a page that is none and returns why the backend refused it.
  xenio::error refused_page(int file) {
    auto bell = xenio::loopback::make_doorbell();
    REQUIRE(bell);
    return refused(file, bell->far_end.get());
  }

  /// Presents a doorbell that is none and returns why the backend refused it.
  xenio::error refused_doorbell(int socket) {
    auto page = xenio::loopback::guest_page::make();
    REQUIRE(page);
    return refused((*page)->file(), socket);
  }

  std::optional<ring_guest> honest;

private:
  xenio::error refused(int file, int socket) {
    backend->last_error.reset();
    auto guest = claim(66);
    REQUIRE(guest.publish(file, socket));
    CHECK(hear(guest));
    CHECK(guest.backend_state() == xenio::xenbus_state::closed);
    REQUIRE(backend->last_error);
    return *backend->last_error;
  }

  std::size_t descriptors = 0;
};

} // namespace vtpm::tests
