// Goal: the TPM is reset before the first command of a guest that has booted,
// and only then; nobody else is disturbed.
// Method: the whole domain on a simulated hypervisor, a new domid for a boot.

#include "actors/supervisor.hpp"

#include <vector>

#include "tests/actors/domain_fixture.hpp"
#include "tests/printing.hpp"

using namespace vtpm;
using namespace vtpm::tests;
using actors::frontend_state;
using actors::platform_memory;
using xenio::xenbus_state;

namespace {

const std::string own = "00000000-0000-0000-0000-0000000000aa";

struct world : domain_fixture {
  explicit world(const char* rule = nullptr, platform_memory memory = {}) {
    restart(rule, std::move(memory));
  }

  /// vtpmd again, with what it remembered.
  void restart(const char* rule, platform_memory memory) {
    kill_supervisor();
    actors::supervisor_parts more;
    if (rule != nullptr) {
      std::string problem;
      more.primary = actors::primary_rule::parse(rule, problem);
      REQUIRE_MESSAGE(more.primary, problem);
    }
    more.memory = std::move(memory);
    more.remember
      = [this](const platform_memory& now) { remembered.push_back(now); };
    spawn_supervisor(std::move(more));
    settle_all();
  }

  std::uint64_t executed(xenio::simulated::guest& guest, scripted what) {
    guest.submit(0, make_request(what));
    run_to_end();
    CHECK(guest.take_response());
    return script->executed;
  }

  /// The guest's domain comes and runs, whatever that takes.
  std::unique_ptr<xenio::simulated::guest> boot(xenio::domid domain,
                                                std::uint32_t handle = 0) {
    auto guest
      = std::make_unique<xenio::simulated::guest>(xen, domain, handle, own);
    guest->publish();
    run_to_end();
    CHECK(guest->backend_state() == xenbus_state::connected);
    return guest;
  }

  actors::platform_report platform() {
    return ask<actors::platform_report>(supervisor, actors::platform_atom_v);
  }

  std::vector<platform_memory> remembered;
};

} // namespace

TEST_SUITE("actors/primary") {
  TEST_CASE_FIXTURE(world, "a reboot resets the TPM before the first command") {
    auto guest = boot(5);
    executed(*guest, scripted::extend);
    CHECK(script->resets == 0);
    CHECK(script->extends == 1);
    CHECK(report_of(*guest).primary);
    guest->die();
    settle_all();
    xenio::simulated::guest again{xen, 6, 0, own};
    again.submit(0, make_request(scripted::extend));
    again.publish();
    settle_all();
    // The worker has it; the page is not even mapped.
    REQUIRE(helper->busy());
    CHECK(again.backend_state() == xenbus_state::init_wait);
    CHECK(xen.mappings() == 0);
    helper->complete();
    settle_all();
    // The TPM is reset, but that is not durable.
    CHECK(script->resets == 1);
    REQUIRE(committer->busy());
    CHECK(again.backend_state() == xenbus_state::init_wait);
    CHECK(script->extends == 0);
    run_to_end();
    CHECK(again.backend_state() == xenbus_state::connected);
    CHECK(again.take_response());
    CHECK(script->extends == 1);
    CHECK(script->resets == 1);
    CHECK(platform().resets == 1);
    CHECK(platform().domain == 6);
  }

  TEST_CASE_FIXTURE(world, "the same domid keeps everything") {
    auto guest = boot(5);
    executed(*guest, scripted::extend);
    guest->close(); // a module is loaded again
    settle_all();
    guest->renew_page();
    guest->publish();
    run_to_end();
    guest->renew_page(); // kexec: no Closed
    guest->publish();
    run_to_end();
    executed(*guest, scripted::extend);
    CHECK(script->extends == 2);
    CHECK(script->resets == 0);
  }

  TEST_CASE("others go on while the TPM is reset, and never reset it") {
    world domain{"uuid=00000000-0000-0000-0000-0000000000aa"};
    auto guest = domain.boot(5);
    auto peer = domain.connect(9);
    CHECK_FALSE(domain.report_of(*peer).primary);
    guest->die();
    domain.settle_all();
    xenio::simulated::guest again{domain.xen, 6, 0, own};
    again.publish();
    domain.settle_all();
    REQUIRE(domain.helper->busy());
    // Waits for the engine only.
    peer->submit(0, make_request(scripted::increment));
    auto late = domain.connect(10);
    domain.run_to_end();
    CHECK(peer->take_response());
    CHECK(again.backend_state() == xenbus_state::connected);
    for (auto number : std::vector<xenio::domid>{11, 12})
      domain.connect(number, 0, peer->uuid());
    CHECK(domain.script->resets == 1);
  }

  TEST_CASE_FIXTURE(world, "a second uuid ends what nobody ruled") {
    auto guest = boot(5);
    auto peer = connect(9);
    CHECK_FALSE(report_of(*guest).primary);
    CHECK(platform().primary.empty());
    guest->die();
    settle_all();
    boot(6);
    CHECK(script->resets == 0);
  }

  TEST_CASE("a rule may keep the TPM") {
    world domain{"handle=0,on-new-domid=keep"};
    domain.boot(5)->die();
    auto guest = domain.boot(6);
    CHECK(domain.script->resets == 0);
    CHECK(domain.platform().domain == 6);
    CHECK(domain.platform().primary == "handle=0,on-new-domid=keep");
  }

  TEST_CASE_FIXTURE(world, "an announced restore keeps the TPM, once") {
    auto guest = boot(5);
    executed(*guest, scripted::extend);
    caf::anon_send(supervisor, actors::keep_atom_v);
    settle_all();
    CHECK(platform().keep_next);
    guest->die();
    settle_all();
    guest = boot(6);
    CHECK(script->resets == 0);
    CHECK_FALSE(platform().keep_next);
    guest->die();
    settle_all();
    guest = boot(7);
    CHECK(script->resets == 1);
    CHECK(script->extends == 0);
  }

  TEST_CASE_FIXTURE(world, "a failed reset serves no stale PCRs") {
    auto guest = boot(5);
    guest->die();
    settle_all();
    script->fail_resets = true;
    xenio::simulated::guest again{xen, 6, 0, own};
    again.submit(0, make_request(scripted::read));
    again.publish();
    run_to_end();
    CHECK(again.backend_state() == xenbus_state::closed);
    CHECK(report_of(again).state == frontend_state::refused);
    CHECK(script->executed == 0);
    CHECK(platform().domain == 5);
    CHECK(platform().resets == 0);
    // The same offer is not tried again, the next is.
    again.ring();
    again.set_state(xenbus_state::initialised);
    run_to_end();
    CHECK(script->resets == 1);
    script->fail_resets = false;
    again.close();
    run_to_end();
    again.publish();
    run_to_end();
    CHECK(again.backend_state() == xenbus_state::connected);
    CHECK(script->resets == 2);
    CHECK(again.take_response());
  }

  TEST_CASE_FIXTURE(world, "a TPM that has stopped is not reset") {
    auto guest = boot(5);
    guest->die();
    caf::anon_send(executor, actors::stop_atom_v);
    settle_all();
    xenio::simulated::guest again{xen, 6, 0, own};
    again.publish();
    run_to_end();
    CHECK(again.backend_state() == xenbus_state::closed);
    CHECK(script->resets == 0);
  }

  TEST_CASE_FIXTURE(world, "one reset is enough for all its devices") {
    auto guest = boot(5);
    guest->die();
    settle_all();
    xenio::simulated::guest first{xen, 6, 0, own};
    xenio::simulated::guest second{xen, 6, 1, own};
    first.publish();
    second.publish();
    run_to_end();
    CHECK(report_of(first).state == frontend_state::connected);
    CHECK(report_of(second).state == frontend_state::connected);
    CHECK(script->resets == 1);
  }

  TEST_CASE_FIXTURE(world, "whoever waits for a reset is said to") {
    auto guest = boot(5);
    guest->die();
    settle_all();
    xenio::simulated::guest again{xen, 6, 0, own};
    again.publish();
    settle_all();
    auto pending
      = self->request(supervisor, caf::infinite, actors::report_atom_v);
    settle_all();
    pending.receive(
      [](const actors::frontends_report& all) {
        REQUIRE(all.present.size() == 1);
        CHECK(all.present.front().state == frontend_state::resetting);
        CHECK(all.present.front().primary);
      },
      [](const caf::error&) { FAIL("no report"); });
    run_to_end();
  }

  TEST_CASE_FIXTURE(world, "a domain that goes while the TPM is reset for it") {
    auto guest = boot(5);
    guest->die();
    settle_all();
    {
      xenio::simulated::guest brief{xen, 6, 0, own};
      brief.publish();
      settle_all();
      REQUIRE(helper->busy());
    }
    run_to_end();
    CHECK(reports().present.empty());
    CHECK(script->resets == 1);
    // It had no command: its TPM is as good as new.
    guest = boot(6);
    CHECK(script->resets == 1);
  }

  TEST_CASE_FIXTURE(world, "a new offer while the TPM is reset for the old") {
    auto guest = boot(5);
    guest->die();
    settle_all();
    xenio::simulated::guest again{xen, 6, 0, own};
    again.publish();
    settle_all();
    again.renew_page();
    again.publish();
    settle_all();
    run_to_end();
    executed(again, scripted::read);
    CHECK(script->resets == 1);
    CHECK(xen.mappings() == 1);
  }

  TEST_CASE_FIXTURE(world, "a drain while the TPM is reset") {
    auto guest = boot(5);
    guest->die();
    settle_all();
    xenio::simulated::guest again{xen, 6, 0, own};
    again.publish();
    settle_all();
    REQUIRE(helper->busy());
    auto pending
      = self->request(supervisor, caf::infinite, actors::drain_atom_v);
    run_to_end();
    pending.receive([](actors::done_atom) {},
                    [](const caf::error&) { FAIL("the drain failed"); });
    CHECK(again.backend_state() == xenbus_state::init_wait);
    CHECK(xen.mappings() == 0);
  }

  TEST_CASE_FIXTURE(world, "changes are reported before anyone is served") {
    auto guest = boot(5);
    REQUIRE(remembered.size() == 1);
    CHECK(remembered.back() == platform_memory{{own}, 5, false});
    caf::anon_send(supervisor, actors::keep_atom_v);
    caf::anon_send(supervisor, actors::keep_atom_v);
    settle_all();
    REQUIRE(remembered.size() == 2);
    CHECK(remembered.back() == platform_memory{{own}, 5, true});
    guest->close();
    guest->publish();
    run_to_end();
    CHECK(remembered.size() == 2);
    guest->die();
    settle_all();
    xenio::simulated::guest again{xen, 6, 0, own};
    again.submit(0, make_request(scripted::read));
    again.page().before_read = [this](auto) {
      CHECK(remembered.back() == platform_memory{{own}, 6, false});
    };
    again.publish();
    run_to_end();
    again.page().before_read = {};
    CHECK(again.page().reads > 0);
    CHECK(remembered.size() == 3);
  }

  TEST_CASE_FIXTURE(world, "a restart of vtpmd under a live guest keeps") {
    auto guest = boot(5);
    executed(*guest, scripted::extend);
    restart(nullptr, remembered.back());
    run_to_end();
    executed(*guest, scripted::extend);
    CHECK(script->resets == 0);
    CHECK(script->extends == 2);
  }

  TEST_CASE_FIXTURE(world, "a restart of vtpmd and a reboot meanwhile resets") {
    boot(5);
    const auto memory = remembered.back();
    settle_all();
    kill_supervisor();
    auto guest = std::make_unique<xenio::simulated::guest>(xen, 6, 0, own);
    guest->publish();
    restart(nullptr, memory);
    run_to_end();
    CHECK(guest->backend_state() == xenbus_state::connected);
    CHECK(script->resets == 1);
  }

  TEST_CASE_FIXTURE(world, "without a memory the TPM is as powered on") {
    auto guest = boot(77);
    CHECK(script->resets == 0);
    CHECK(platform().domain == 77);
    CHECK(platform().primary == "uuid=" + own);
  }
}
