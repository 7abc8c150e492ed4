// Goal: no response may leave before all it may reveal is durable.
// Method: the whole domain, stopped between any two of its steps.

#include "tests/actors/domain_fixture.hpp"

#include <cerrno>
#include <chrono>

#include "tests/printing.hpp"

using namespace vtpm;
using namespace vtpm::tests;
using protocol::page_state;

namespace {

using world = domain_fixture;

bool has(const xenio::simulated::guest& guest, page_state state) {
  return guest.state() == static_cast<std::uint8_t>(state);
}

} // namespace

TEST_SUITE("actors/commit_path") {
  TEST_CASE_FIXTURE(world, "a guest waits for the slot write to end") {
    auto guest = connect(1);
    guest->submit(0, make_request(scripted::increment));
    settle_all();
    CHECK(committer->busy());
    CHECK(has(*guest, page_state::submit));
    complete_write();
    settle_all();
    auto response = guest->take_response();
    REQUIRE(response);
    CHECK(counter_in(*response) == 1);
    CHECK(stored_counter() == 1);
  }

  TEST_CASE_FIXTURE(world, "a read does not wait when nothing is under way") {
    auto guest = connect(1);
    guest->submit(0, make_request(scripted::read));
    settle_all();
    CHECK_FALSE(committer->busy());
    CHECK(guest->take_response());
  }

  TEST_CASE_FIXTURE(world, "a read waits for the change it reveals") {
    auto writer = connect(1);
    auto reader = connect(2);
    writer->submit(0, make_request(scripted::increment));
    settle_all();
    reader->submit(0, make_request(scripted::read));
    settle_all();
    CHECK(has(*reader, page_state::submit));
    complete_write();
    settle_all();
    auto response = reader->take_response();
    REQUIRE(response);
    CHECK(counter_in(*response) == 1);
  }

  TEST_CASE_FIXTURE(world, "changes that come during a write share the next") {
    std::vector<std::unique_ptr<xenio::simulated::guest>> guests;
    for (xenio::domid domain = 1; domain <= 5; ++domain)
      guests.push_back(connect(domain));
    guests[0]->submit(0, make_request(scripted::increment));
    settle_all();
    for (auto i = 1u; i < guests.size(); ++i)
      guests[i]->submit(0, make_request(scripted::increment));
    settle_all();
    CHECK(committer->started == 1);
    complete_write();
    settle_all();
    CHECK(guests[0]->take_response());
    CHECK(has(*guests[1], page_state::submit));
    CHECK(committer->started == 2);
    complete_write();
    settle_all();
    for (auto i = 1u; i < guests.size(); ++i)
      CHECK(guests[i]->take_response());
    CHECK(committer->started == 2);
    CHECK(stored_counter() == 5);
    const auto report
      = ask<actors::commit_report>(persistence, actors::report_atom_v);
    CHECK(report.commits == 2);
    CHECK(report.changes == 5);
  }

  TEST_CASE_FIXTURE(world, "a failed write is repeated and nothing leaves") {
    auto guest = connect(1);
    guest->submit(0, make_request(scripted::increment));
    settle_all();
    fail_write(EIO);
    settle_all();
    CHECK(has(*guest, page_state::submit));
    CHECK_FALSE(committer->busy());
    CHECK(advance(actors::retry_policy{}.first) == 1);
    settle_all();
    CHECK(committer->busy());
    complete_write();
    settle_all();
    CHECK(guest->take_response());
    CHECK(stored_counter() == 1);
  }

  TEST_CASE("a repeated write carries what came meanwhile") {
    world domain;
    auto first = domain.connect(1);
    auto second = domain.connect(2);
    first->submit(0, make_request(scripted::increment));
    domain.settle_all();
    second->submit(0, make_request(scripted::increment));
    domain.settle_all();
    domain.fail_write(ENOSPC);
    domain.settle_all();
    domain.advance(actors::retry_policy{}.first);
    domain.settle_all();
    domain.complete_write();
    domain.settle_all();
    CHECK(first->take_response());
    CHECK(second->take_response());
    CHECK(domain.committer->started == 2);
  }

  TEST_CASE("past the limit the TPM fails stop, and resumes when told") {
    using std::chrono::milliseconds;
    world domain{1, {}, {milliseconds{10}, milliseconds{10}, milliseconds{20}}};
    auto guest = domain.connect(1);
    auto other = domain.connect(2);
    guest->submit(0, make_request(scripted::increment));
    domain.settle_all();
    for (auto i = 0; i < 3; ++i) {
      REQUIRE(domain.committer->busy());
      domain.fail_write(EIO);
      domain.settle_all();
      domain.advance(milliseconds{10});
      domain.settle_all();
    }
    CHECK_FALSE(domain.committer->busy());
    auto response = guest->take_response();
    REQUIRE(response);
    CHECK(result_of(*response) == 0x101); // TPM_RC_FAILURE

    // Reads would reveal what is not stored: they fail too, without running.
    const auto executed = domain.script->executed;
    other->submit(0, make_request(scripted::read));
    domain.settle_all();
    response = other->take_response();
    REQUIRE(response);
    CHECK(result_of(*response) == 0x101);
    CHECK(domain.script->executed == executed);

    caf::anon_send(domain.persistence, actors::resume_atom_v);
    domain.run_to_end();
    CHECK(domain.stored_counter() == 1);
    other->submit(0, make_request(scripted::read));
    domain.settle_all();
    response = other->take_response();
    REQUIRE(response);
    CHECK(counter_in(*response) == 1);
  }

  TEST_CASE_FIXTURE(world, "a spurious readiness of the committer is ignored") {
    auto guest = connect(1);
    guest->submit(0, make_request(scripted::increment));
    settle_all();
    caf::anon_send(persistence, actors::written_atom_v);
    settle_all();
    CHECK(has(*guest, page_state::submit));
    complete_write();
    settle_all();
    CHECK(guest->take_response());
  }

  TEST_CASE_FIXTURE(world, "whoever waits for a store that dies is answered") {
    auto guest = connect(1);
    guest->submit(0, make_request(scripted::increment));
    settle_all();
    caf::anon_send_exit(persistence, caf::exit_reason::kill);
    settle_all();
    auto response = guest->take_response();
    REQUIRE(response);
    CHECK(result_of(*response) == 0x101);
    CHECK(stored_counter() == 0);
  }
}
