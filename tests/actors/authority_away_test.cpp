// Goal: a key authority that does not answer is a storage that fails: the same
// record is sent again, no slot is written meanwhile, and past the limit the
// TPM fails stop. Method: a persistence actor alone, with an authority that
// says nothing until it is told to.

#include <vector>

#include "tests/actors/domain_fixture.hpp"

using namespace vtpm;
using namespace vtpm::tests;
using std::chrono::milliseconds;

namespace {

struct silent_state {
  static inline const char* name = "silent";
  std::vector<caf::typed_response_promise<actors::done_atom>> owed;
  bool speaks = false;
  std::size_t asked = 0;

  ~silent_state() {
    for (auto& promise : owed)
      promise.deliver(caf::make_error(caf::sec::request_receiver_down));
  }
};

/// The test makes it speak, and asks how often it was asked.
using silent_actor = actors::key_authority_actor::extend_with<
  caf::typed_actor<caf::reacts_to<actors::resume_atom>,
                   caf::replies_to<actors::report_atom>::with<std::size_t>>>;

silent_actor::behavior_type silent(
  actors::self_pointer<silent_state, silent_actor> self) {
  return {
    [self](actors::replace_atom,
           const tpm::key_record&) -> caf::result<actors::done_atom> {
      auto& state = self->state;
      ++state.asked;
      if (state.speaks)
        return actors::done_atom_v;
      state.owed.push_back(self->make_response_promise<actors::done_atom>());
      return state.owed.back();
    },
    [self](actors::stats_atom) { return self->stats(); },
    [self](actors::resume_atom) { self->state.speaks = true; },
    [self](actors::report_atom) { return self->state.asked; },
  };
}

struct surroundings {
  lying_disk disk{1};
  tpm::local_key key{tpm::secret_bytes(tpm::local_key::size, 0x5A)};
};

struct world : surroundings, deterministic_system {
  world() {
    auto store
      = tpm::state_store::create(disk, key, tpm_version::v2_0, tpm::uuid{});
    REQUIRE(store);
    auto writer = std::make_unique<scripted_committer>(disk);
    committer = writer.get();
    authority = system.spawn(silent);
    persistence = system.spawn(
      actors::persistence, std::move(*store), std::move(writer), authority,
      actors::retry_policy{milliseconds{10}, milliseconds{10},
                           milliseconds{250}, milliseconds{0},
                           milliseconds{100}});
  }

  ~world() {
    caf::anon_send_exit(persistence, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(authority, caf::exit_reason::user_shutdown);
    settle();
  }

  actors::commit_report report() {
    auto pending
      = self->request(persistence, caf::infinite, actors::report_atom_v);
    settle();
    auto result = actors::commit_report{};
    pending.receive(
      [&](actors::commit_report& given) { result = std::move(given); },
      [](const caf::error&) { FAIL("no report"); });
    return result;
  }

  std::size_t asked() {
    auto pending
      = self->request(authority, caf::infinite, actors::report_atom_v);
    settle();
    auto result = std::size_t{0};
    pending.receive([&](std::size_t given) { result = given; },
                    [](const caf::error&) { FAIL("no report"); });
    return result;
  }

  void pass(milliseconds time) {
    advance(time);
    settle();
  }

  scripted_committer* committer = nullptr;
  silent_actor authority;
  actors::persistence_actor persistence;
};

} // namespace

TEST_SUITE("actors/authority_away") {
  TEST_CASE_FIXTURE(world, "an authority that is away makes commits fail") {
    auto state = std::make_shared<tpm::snapshot>();
    state->permanent.assign(8, 1);
    auto pending
      = self->request(persistence, caf::infinite, actors::commit_atom_v,
                      actors::state_change{1, std::move(state)});
    settle();
    REQUIRE(committer->busy());
    committer->complete();
    caf::anon_send(persistence, actors::written_atom_v);
    settle();
    CHECK(asked() == 1);
    CHECK(!report().failing);

    pass(milliseconds{100});
    CHECK(report().failing);
    pass(milliseconds{10});
    CHECK(asked() == 2);
    CHECK(!committer->busy());

    SUBCASE("until it answers") {
      caf::anon_send(authority, actors::resume_atom_v);
      pass(milliseconds{100});
      pass(milliseconds{10});
      CHECK(asked() == 3);
      CHECK(!report().failing);
      CHECK(report().commits == 1);
      pending.receive(
        [](tpm::durable_receipt receipt) { CHECK(receipt.through() == 1); },
        [](const caf::error&) { FAIL("not stored"); });
    }
    SUBCASE("and past the limit the TPM stops") {
      for (auto i = 0; i < 3; ++i) {
        pass(milliseconds{100});
        pass(milliseconds{10});
      }
      CHECK(report().stopped);
      pending.receive([](tpm::durable_receipt) { FAIL("acknowledged"); },
                      [](const caf::error& reason) {
                        CHECK(reason == actors::domain_errc::unknown_outcome);
                      });
      // Told to go on, it asks again first: until then nobody knows which slot
      // is live.
      const auto before = asked();
      caf::anon_send(authority, actors::resume_atom_v);
      caf::anon_send(persistence, actors::resume_atom_v);
      settle();
      CHECK(asked() == before + 1);
      CHECK(!report().stopped);
      CHECK(committer->started == 1);
    }
  }
}
