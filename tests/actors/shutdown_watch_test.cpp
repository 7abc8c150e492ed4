// Goal: the toolstack's order to end reaches us once, acknowledged, and nothing
// else does.

#include "actors/shutdown_watch.hpp"

#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/printing.hpp"
#include "xenio/memory_tree.hpp"
#include "xenio/simulated/loop.hpp"

using namespace vtpm;
using actors::shutdown_order;

namespace {

struct world {
  explicit world(const char* domid) {
    if (domid != nullptr)
      tree.set("/local/domain/0/domid", domid);
    tree.set(path, ""); // as libxl makes it
  }

  void begin() {
    watch = std::make_unique<actors::shutdown_watch>(
      tree, [this](shutdown_order order) { orders.push_back(order); });
    loop.run_until_idle();
  }

  /// The toolstack's part.
  void order(const char* word) {
    tree.set(path, word);
    loop.run_until_idle();
  }

  static constexpr auto path = "/local/domain/0/control/shutdown";
  xenio::simulated::loop loop;
  xenio::memory_tree tree{loop};
  std::vector<shutdown_order> orders;
  std::unique_ptr<actors::shutdown_watch> watch;
};

struct guest_world : world {
  guest_world() : world("7") {
    // nop
  }
};

} // namespace

TEST_SUITE("actors/shutdown_watch") {
  TEST_CASE_FIXTURE(guest_world, "what is honoured is announced") {
    begin();
    for (auto name : {"poweroff", "reboot", "halt"})
      CHECK(tree.get(std::string{"/local/domain/0/control/feature-"} + name)
            == "1");
    CHECK(tree.get("/local/domain/0/control/feature-suspend") == "0");
    CHECK(orders.empty());
  }

  TEST_CASE_FIXTURE(guest_world, "an order is acknowledged and passed on") {
    begin();
    order("poweroff");
    CHECK(tree.get(path) == "");
    order("reboot");
    order("halt");
    CHECK(orders
          == std::vector{shutdown_order::poweroff, shutdown_order::reboot,
                         shutdown_order::halt});
  }

  TEST_CASE_FIXTURE(guest_world, "an order from before the start counts") {
    tree.set(path, "reboot");
    begin();
    CHECK(orders == std::vector{shutdown_order::reboot});
    CHECK(tree.get(path) == "");
  }

  TEST_CASE_FIXTURE(guest_world, "what is not done is acknowledged only") {
    begin();
    for (auto word : {"suspend", "crash", "s3", "POWEROFF", "poweroff "}) {
      CAPTURE(word);
      order(word);
      CHECK(tree.get(path) == "");
    }
    CHECK(orders.empty());
  }

  TEST_CASE("nobody orders domain 0, nor where there is no hypervisor") {
    for (auto domid : {static_cast<const char*>(nullptr), "0"}) {
      world host{domid};
      host.begin();
      host.order("poweroff");
      CHECK(host.orders.empty());
      CHECK(host.tree.get(world::path) == "poweroff");
      CHECK_FALSE(host.tree.get("/local/domain/0/control/feature-poweroff"));
    }
  }

  TEST_CASE_FIXTURE(guest_world, "a watch that is gone hears of nothing") {
    begin();
    tree.set(path, "halt");
    watch.reset();
    loop.run_until_idle();
    CHECK(orders.empty());
    // Nor if it goes before it knows where it runs.
    watch = std::make_unique<actors::shutdown_watch>(
      tree, [this](shutdown_order each) { orders.push_back(each); });
    watch.reset();
    loop.run_until_idle();
    CHECK(orders.empty());
  }
}
