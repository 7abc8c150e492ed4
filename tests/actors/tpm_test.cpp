// Goal: one engine, one command at a time, nobody starved, nothing lost.

#include "actors/tpm.hpp"

#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/actors/domain_fixture.hpp"
#include "tests/printing.hpp"

using namespace vtpm;
using namespace vtpm::tests;
using protocol::page_state;

namespace {

using world = domain_fixture;

bool waits(const xenio::simulated::guest& guest) {
  return guest.state() == static_cast<std::uint8_t>(page_state::submit);
}

} // namespace

TEST_SUITE("actors/tpm") {
  TEST_CASE_FIXTURE(world, "an expensive command runs on the worker") {
    auto guest = connect(1);
    guest->submit(0, make_request(scripted::create));
    settle_all();
    CHECK(helper->busy());
    CHECK(script->executed == 0);
    const auto report
      = ask<actors::tpm_report>(executor, actors::report_atom_v);
    CHECK(report.offloaded == 1);
    CHECK(guest->take_response());
  }

  TEST_CASE_FIXTURE(world, "others wait for the engine, and only for it") {
    auto slow = connect(1);
    auto fast = connect(2);
    slow->submit(0, make_request(scripted::create));
    settle_all();
    fast->submit(0, make_request(scripted::increment));
    settle_all();
    CHECK(waits(*fast));
    CHECK(script->executed == 0);
    // Reports come while the engine is away, and say what it does.
    auto pending
      = self->request(executor, caf::infinite, actors::report_atom_v);
    settle_all();
    pending.receive(
      [](const actors::tpm_report& report) {
        CHECK(report.running == "TPM2_Create");
        CHECK(report.queued == 1);
      },
      [](const caf::error&) { FAIL("expected a report"); });
    helper->complete();
    settle_all();
    CHECK(slow->take_response());
    CHECK(committer->busy());
    complete_write();
    settle_all();
    CHECK(fast->take_response());
  }

  TEST_CASE_FIXTURE(world, "frontends with commands waiting take turns") {
    // Each submits again as soon as it is answered; none gets ahead by more
    // than one command of any other.
    std::vector<std::unique_ptr<xenio::simulated::guest>> guests;
    std::vector<unsigned> answered(6);
    for (xenio::domid domain = 1; domain <= 6; ++domain)
      guests.push_back(connect(domain));
    for (auto i = 0u; i < guests.size(); ++i)
      guests[i]->on_ring = [&, i] {
        if (guests[i]->take_response()) {
          ++answered[i];
          const auto [least, most]
            = std::minmax_element(answered.begin(), answered.end());
          CHECK(*most - *least <= 1);
          guests[i]->submit(0, make_request(scripted::create));
        }
      };
    for (auto& guest : guests)
      guest->submit(0, make_request(scripted::create));
    for (auto turn = 0; turn < 60; ++turn) {
      settle_all();
      REQUIRE(helper->busy());
      helper->complete();
    }
    settle_all();
    for (auto count : answered)
      CHECK(count == 10);
    for (auto& guest : guests)
      guest->on_ring = {};
  }

  TEST_CASE_FIXTURE(world,
                    "a frontend that dies frees its place in the queue") {
    auto slow = connect(1);
    slow->submit(0, make_request(scripted::create));
    settle_all();
    // A hostile guest connects, queues a command and dies, over and over.
    for (auto i = 0; i < 20; ++i) {
      auto brief = connect(2);
      brief->submit(0, make_request(scripted::increment));
      settle_all();
      brief->die();
      settle_all();
    }
    run_to_end();
    CHECK(slow->take_response());
    CHECK(script->counter == 0);
  }

  TEST_CASE_FIXTURE(world, "reconnecting leaves no commands behind") {
    // Each time with the predecessor's long command still running.
    auto guest = connect(1);
    for (auto i = 0; i < 20; ++i) {
      guest->submit(0, make_request(scripted::create));
      // Sometimes the ring takes the request only after it was told to end.
      if (i % 2 == 0)
        settle_all();
      guest->renew_page();
      guest->publish();
      settle_all();
      auto pending
        = self->request(executor, caf::infinite, actors::report_atom_v);
      settle_all();
      pending.receive(
        [](const actors::tpm_report& report) { CHECK(report.queued == 0); },
        [](const caf::error&) { FAIL("expected a report"); });
    }
    auto other = connect(2);
    other->submit(0, make_request(scripted::read));
    settle_all();
    REQUIRE(helper->busy());
    helper->complete();
    settle_all();
    CHECK(other->take_response());
  }

  TEST_CASE("a commit that fails at start ends in failures, not in an end") {
    using std::chrono::milliseconds;
    auto state = std::make_shared<tpm::snapshot>();
    state->permanent = tpm::secret_bytes(8);
    world domain{
      1, {}, {milliseconds{1}, milliseconds{1}, milliseconds{2}}, state};
    auto guest = domain.connect(1);
    guest->submit(0, make_request(scripted::read));
    for (auto i = 0; i < 4 && !domain.committer->busy(); ++i)
      domain.settle_all();
    while (domain.committer->busy()) {
      domain.fail_write(EFBIG);
      domain.settle_all();
      domain.advance(milliseconds{1});
      domain.settle_all();
    }
    for (auto i = 0; i < 2; ++i) {
      auto response = guest->take_response();
      REQUIRE(response);
      CHECK(result_of(*response) == 0x101);
      guest->submit(0, make_request(scripted::read));
      domain.settle_all();
    }
  }

  TEST_CASE("a drain does not wait long for a disk that fails") {
    using std::chrono::milliseconds;
    world domain{1,
                 {},
                 {milliseconds{50}, milliseconds{50}, milliseconds{1u << 30},
                  milliseconds{200}}};
    auto guest = domain.connect(1);
    guest->submit(0, make_request(scripted::increment));
    domain.settle_all();
    domain.fail_write(EIO);
    domain.settle_all();
    caf::anon_send(domain.persistence, actors::drain_atom_v);
    auto pending = domain.self->request(domain.supervisor, caf::infinite,
                                        actors::drain_atom_v);
    auto waited = milliseconds{0};
    domain.settle_all();
    for (; waited < milliseconds{400}; waited += milliseconds{50}) {
      if (domain.committer->busy())
        domain.fail_write(EIO);
      domain.settle_all();
      domain.advance(milliseconds{50});
      domain.settle_all();
    }
    auto failed = false;
    pending.receive([](actors::done_atom) { FAIL("nothing was stored"); },
                    [&](const caf::error&) { failed = true; });
    CHECK(failed);
    auto response = guest->take_response();
    REQUIRE(response);
    CHECK(result_of(*response) == 0x101);
  }

  TEST_CASE_FIXTURE(world, "a reset that fails is told to whoever asked") {
    script->fail_resets = true;
    auto pending = self->request(executor, caf::infinite, actors::reset_atom_v,
                                 tpm::startup::clear);
    run_to_end();
    auto reason = caf::error{};
    pending.receive([](actors::done_atom) { FAIL("it failed"); },
                    [&](const caf::error& why) { reason = why; });
    CHECK(reason == actors::domain_errc::engine_failed);
    CHECK(actors::explain(reason).find("restart") != std::string::npos);
  }

  TEST_CASE_FIXTURE(world, "a frontend that dies ends its long command") {
    auto guest = connect(1);
    guest->submit(0, make_request(scripted::create));
    settle_all();
    guest->die();
    settle_all();
    CHECK(script->cancels == 1);
    run_to_end();
    auto next = connect(1);
    next->submit(0, make_request(scripted::read));
    settle_all();
    CHECK(next->take_response());
  }

  TEST_CASE_FIXTURE(world, "a reset takes its turn and is durable when told") {
    auto guest = connect(1);
    guest->submit(0, make_request(scripted::extend));
    run_to_end();
    CHECK(script->extends == 1);
    auto done = false;
    auto pending = self->request(executor, caf::infinite, actors::reset_atom_v,
                                 tpm::startup::clear);
    settle_all();
    REQUIRE(helper->busy());
    helper->complete();
    settle_all();
    CHECK(script->resets == 1);
    CHECK(script->extends == 0);
    CHECK(self->mailbox().empty());
    complete_write();
    settle_all();
    pending.receive([&](actors::done_atom) { done = true; },
                    [](const caf::error&) { FAIL("the reset failed"); });
    CHECK(done);
  }

  TEST_CASE_FIXTURE(world, "a drain saves, then runs nothing more") {
    auto guest = connect(1);
    guest->submit(0, make_request(scripted::create));
    settle_all();
    auto waiting = connect(2);
    waiting->submit(0, make_request(scripted::increment));
    settle_all();
    auto pending
      = self->request(supervisor, caf::infinite, actors::drain_atom_v);
    settle_all();
    CHECK(script->cancels == 1);
    run_to_end();
    pending.receive([](actors::done_atom) {},
                    [](const caf::error&) { FAIL("the drain failed"); });
    CHECK(guest->take_response());
    CHECK(waits(*waiting));
    CHECK(script->counter == 0);
    CHECK(script->exits == 1);
  }

  TEST_CASE_FIXTURE(world, "a TPM actor that dies answers whoever waits") {
    auto slow = connect(1);
    auto queued = connect(2);
    slow->submit(0, make_request(scripted::create));
    settle_all();
    queued->submit(0, make_request(scripted::increment));
    settle_all();
    caf::anon_send_exit(executor, caf::exit_reason::kill);
    settle_all();
    for (auto* guest : {slow.get(), queued.get()}) {
      auto response = guest->take_response();
      REQUIRE(response);
      CHECK(result_of(*response) == 0x101);
    }
  }
}
