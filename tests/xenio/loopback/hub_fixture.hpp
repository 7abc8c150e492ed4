#pragma once

#include <filesystem>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "tests/xenio/echo_backend.hpp"
#include "tests/xenio/scratch_directory.hpp"
#include "tests/xenio/test_loop.hpp"
#include "xenio/guest_side.hpp"
#include "xenio/loopback/hub.hpp"
#include "xenio/loopback/raw_frontend.hpp"
#include "xenio/memory_tree.hpp"

namespace vtpm::tests {

/// Returns how many descriptors this process has open.
inline std::size_t open_descriptors() {
  return static_cast<std::size_t>(
    std::distance(std::filesystem::directory_iterator{"/proc/self/fd"},
                  std::filesystem::directory_iterator{}));
}

/// A hub and a backend that a test turns by hand, so that it knows what has
/// been seen when.
class hub_fixture {
public:
  using rules = std::vector<xenio::loopback::claim_rule>;

  hub_fixture() {
    start();
  }

  ~hub_fixture() {
    stop();
  }

  void start(rules who = {}, xenio::loopback::hub_limits limits = {}) {
    stop();
    auto listening = xenio::loopback::hub::listen(loop, socket_path(),
                                                  std::move(who), limits);
    REQUIRE_MESSAGE(listening, listening.error().detail);
    hub = *std::move(listening);
    backend.emplace(hub->grants(), hub->events(), hub->store());
    loop.settle();
  }

  void stop() {
    backend.reset();
    hub.reset();
    loop.settle();
  }

  std::string socket_path() const {
    return directory.path() / "vtpmd.sock";
  }

  /// Connects and claims, and lets vtpmd answer; look at the result.
  xenio::loopback::raw_frontend claim(xenio::domid domain,
                                      std::uint32_t handle = 0,
                                      const std::string& uuid = default_uuid) {
    auto guest = open();
    REQUIRE(guest.send(xenio::loopback::wire::encode(
      xenio::loopback::wire::claim{1, domain, handle, uuid})));
    (void)hear(guest);
    return guest;
  }

  xenio::loopback::raw_frontend open() {
    auto guest = xenio::loopback::raw_frontend::open(socket_path());
    REQUIRE_MESSAGE(guest, guest.error().detail);
    return *std::move(guest);
  }

  /// Lets vtpmd do what there is to do, and the guest hear of it.
  xenio::result<unit> hear(xenio::loopback::raw_frontend& guest) {
    loop.settle();
    return guest.update();
  }

  /// Returns a node's value.
  xenio::store::value node(const std::string& path) {
    return dynamic_cast<xenio::memory_tree&>(hub->store()).get(path);
  }

  static inline const std::string default_uuid
    = "00000000-0000-0000-0000-000000000000";

  scratch_directory directory;
  test_loop loop;
  std::unique_ptr<xenio::loopback::hub> hub;
  std::optional<echo_backend> backend;
};

/// A frontend that is connected, as honest as the test lets it be.
class ring_guest {
public:
  ring_guest(hub_fixture& world, xenio::domid domain, std::uint32_t handle = 0)
    : world_(world), link(world.claim(domain, handle)) {
    REQUIRE(link.is_accepted());
    auto made = xenio::loopback::guest_page::make();
    REQUIRE(made);
    page = *std::move(made);
    publish();
  }

  /// Offers the page and a new doorbell.
  void publish() {
    auto pair = xenio::loopback::make_doorbell();
    REQUIRE(pair);
    bell = std::move(pair->near_end);
    REQUIRE(link.publish(page->file(), pair->far_end.get()));
    pair->far_end.reset();
    REQUIRE(world_.hear(link));
  }

  /// Submits and lets the backend answer; returns nothing if it did not.
  std::optional<byte_vector> transact(byte_view request) {
    REQUIRE(xenio::place_request(*page, 0, request));
    xenio::loopback::ring(bell.get());
    world_.loop.settle();
    if (!xenio::is_free(*page))
      return std::nullopt;
    return *xenio::collect_response(*page);
  }

private:
  hub_fixture& world_;

public:
  xenio::loopback::raw_frontend link;
  std::unique_ptr<xenio::loopback::guest_page> page;
  xenio::descriptor bell;
};

} // namespace vtpm::tests
