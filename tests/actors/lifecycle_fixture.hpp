#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "tests/actors/domain_fixture.hpp"
#include "xenio/device_nodes.hpp"

namespace vtpm::tests {

/// A domain whose toolstack is the test.
struct lifecycle_fixture : domain_fixture {
  lifecycle_fixture() = default;

  explicit lifecycle_fixture(std::vector<actors::locality_rule> rules)
    : domain_fixture(1, std::move(rules)) {
    // nop
  }

  void serve_one(xenio::simulated::guest& guest) {
    guest.submit(0, make_request(scripted::increment));
    run_to_end();
    CHECK(guest.take_response());
  }

  /// The backend runs in this domain.
  void live_in(const char* domid) {
    xen.store().set("/local/domain/0/domid", domid);
  }

  /// As libxl begins to detach a device.
  void detach(xenio::domid domain, std::uint32_t handle = 0) {
    const auto path = xenio::backend_path(domain, handle);
    xen.store().set(path + "/online", "0");
    xen.store().set(path + "/state", "5");
    settle_all();
  }

  xenio::store::value backend_key(xenio::domid domain, const char* name) {
    return xen.store().get(xenio::backend_path(domain, 0) + name);
  }

  void pass(std::chrono::milliseconds time) {
    advance(time);
    settle_all();
  }
};

} // namespace vtpm::tests
