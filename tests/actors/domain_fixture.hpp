#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <caf/send.hpp>

#include <doctest/doctest.h>

#include "actors/key_authority.hpp"
#include "actors/persistence.hpp"
#include "actors/response.hpp"
#include "actors/stats.hpp"
#include "actors/supervisor.hpp"
#include "actors/tpm.hpp"
#include "tests/actors/deferred_worker.hpp"
#include "tests/actors/scripted_engine.hpp"
#include "tests/deterministic_system.hpp"
#include "tests/tpm/lying_disk.hpp"
#include "xenio/simulated/guest.hpp"
#include "xenio/simulated/hypervisor.hpp"
#include "xenio/simulated/loop.hpp"

namespace vtpm::tests {

/// State of the fixture's CONTROL actor.
struct echo_state {
  static inline const char* name = "control";
};

/// A CONTROL actor that says who asked for what.
inline actors::control_actor::behavior_type echo_control(
  actors::self_pointer<echo_state, actors::control_actor> self) {
  return {
    [](actors::control_atom, actors::control_caller caller,
       const std::string& text) {
      return (caller == actors::control_caller::ring ? "ring: " : "operator: ")
        + text;
    },
    [self](actors::stats_atom) { return self->stats(); },
  };
}

/// What outlives the actors: the fixture's destructor still runs them.
struct domain_surroundings {
  std::shared_ptr<engine_script> script = std::make_shared<engine_script>();
  std::shared_ptr<deferred_worker> helper = std::make_shared<deferred_worker>();
  std::unique_ptr<lying_disk> disk;
  scripted_committer* committer = nullptr;
  xenio::simulated::loop loop;
  xenio::simulated::hypervisor xen{loop};
};

/// A whole vTPM domain, every actor the real one, on a simulated hypervisor, a
/// disk that lies and a scripted TPM. Nothing happens unless the test says so.
struct domain_fixture : domain_surroundings, deterministic_system {
  /// @param changed What powering on changed: the TPM actor commits it first.
  /// @param more What else the supervisor is told; `store` and all other
  ///             handles in it are the fixture's.
  explicit domain_fixture(std::uint64_t seed = 1,
                          std::vector<actors::locality_rule> rules = {},
                          actors::retry_policy retries = {},
                          tpm::snapshot_ptr changed = nullptr,
                          actors::supervisor_parts more = {}) {
    disk = std::make_unique<lying_disk>(seed);
    key.octets.assign(tpm::local_key::size, 0x5A);
    auto store
      = tpm::state_store::create(*disk, key, tpm_version::v2_0, tpm::uuid{});
    REQUIRE(store);
    auto writer = std::make_unique<scripted_committer>(*disk);
    committer = writer.get();
    authority = system.spawn(actors::local_authority);
    persistence = system.spawn(actors::persistence, std::move(*store),
                               std::move(writer), authority, retries);
    gate = system.spawn(actors::response, persistence, tpm::durable_receipt{});
    executor = system.spawn(
      actors::tpm_executor,
      actors::tpm_parts{std::make_unique<scripted_engine>(script), 0,
                        std::move(changed), more.shadow},
      gate, helper);
    caf::anon_send(persistence, actors::watch_atom_v, executor);
    control = system.spawn(echo_control);
    stats = system.spawn(actors::stats, executor, persistence);
    more.rules = std::move(rules);
    spawn_supervisor(std::move(more));
    settle_all();
  }

  ~domain_fixture() {
    // Ends the supervisor, and so the rings, while the hypervisor is there.
    for (auto end : {caf::actor_cast<caf::actor>(supervisor),
                     caf::actor_cast<caf::actor>(stats),
                     caf::actor_cast<caf::actor>(control),
                     caf::actor_cast<caf::actor>(executor),
                     caf::actor_cast<caf::actor>(gate),
                     caf::actor_cast<caf::actor>(persistence),
                     caf::actor_cast<caf::actor>(authority)})
      caf::anon_send_exit(end, caf::exit_reason::user_shutdown);
    while (settle() + loop.run_until_idle() > 0) {
      // Exits make mail and jobs, and those make more.
    }
    if (helper->busy())
      helper->complete(); // it holds a handle of the TPM actor
    settle();
  }

  /// Begins to look for frontends.
  void spawn_supervisor(actors::supervisor_parts more) {
    more.store = &xen.store();
    more.grants = &xen.grants();
    more.events = &xen.events();
    more.version = tpm_version::v2_0;
    more.tpm = executor;
    more.control = control;
    more.stats = stats;
    supervisor = system.spawn(actors::supervisor, std::move(more));
    caf::anon_send(stats, actors::watch_atom_v, supervisor);
  }

  /// Ends the supervisor and its rings, as when vtpmd is killed; the TPM stays.
  void kill_supervisor() {
    caf::anon_send_exit(supervisor, caf::exit_reason::user_shutdown);
    settle_all();
    CHECK(xen.mappings() == 0);
    CHECK(xen.bindings() == 0);
  }

  /// Lets actors and events run until nothing is left that happens by itself;
  /// the disk and the worker still wait to be told.
  void settle_all() {
    while (settle() + loop.run_until_idle() > 0) {
      // Events make mail, mail makes events.
    }
  }

  /// The slot write under way succeeds, and its descriptor becomes readable.
  void complete_write() {
    committer->complete();
    caf::anon_send(persistence, actors::written_atom_v);
  }

  void fail_write(int os_error) {
    committer->fail(os_error);
    caf::anon_send(persistence, actors::written_atom_v);
  }

  /// Lets everything happen, the disk and the worker included.
  void run_to_end() {
    for (;;) {
      settle_all();
      if (committer->busy())
        complete_write();
      else if (helper->busy())
        helper->complete();
      else
        return;
    }
  }

  /// A guest that has gone through the handshake; its uuid is its own unless
  /// given.
  std::unique_ptr<xenio::simulated::guest> connect(xenio::domid domain,
                                                   std::uint32_t handle = 0,
                                                   std::string uuid = {}) {
    if (uuid.empty())
      uuid = uuid_number(domain * 100u + handle);
    auto made = std::make_unique<xenio::simulated::guest>(xen, domain, handle,
                                                          std::move(uuid));
    settle_all();
    CHECK(made->backend_state() == xenio::xenbus_state::init_wait);
    made->publish();
    settle_all();
    CHECK(made->backend_state() == xenio::xenbus_state::connected);
    return made;
  }

  /// Returns the uuid whose last digits are `number`.
  static std::string uuid_number(unsigned number) {
    auto digits = std::to_string(number);
    digits.insert(0, 12 - digits.size(), '0');
    return "00000000-0000-0000-0000-" + digits;
  }

  /// Asks `whom` and returns its answer; fails the test on an error.
  template <class Answer, class Handle, class... Ts>
  Answer ask(const Handle& whom, Ts&&... question) {
    auto pending
      = self->request(whom, caf::infinite, std::forward<Ts>(question)...);
    run_to_end();
    auto result = Answer{};
    pending.receive([&](Answer& answer) { result = std::move(answer); },
                    [](const caf::error& reason) {
                      FAIL("expected an answer: " << caf::to_string(reason));
                    });
    return result;
  }

  /// Returns what is known of every frontend.
  actors::frontends_report reports() {
    return ask<actors::frontends_report>(supervisor, actors::report_atom_v);
  }

  /// Returns what is known of this frontend.
  actors::frontend_report report_of(const xenio::simulated::guest& who) {
    for (auto& each : reports().present)
      if (each.id == actors::frontend_id{who.domain(), who.handle()})
        return each;
    FAIL("there is no such frontend");
    return {};
  }

  /// Returns the names of the actors that STATS watches.
  std::set<std::string> stats_names() {
    std::set<std::string> names;
    for (auto& [name, counters] :
         ask<actors::domain_report>(stats, actors::report_atom_v).actors)
      names.insert(name);
    return names;
  }

  /// Returns the counter that a new vtpmd would find on the disk, 0 if there is
  /// no state yet.
  std::uint64_t stored_counter() {
    auto opened = tpm::state_store::open(*disk, key, tpm_version::v2_0, false);
    if (!opened) {
      CHECK(opened.error().code == tpm::errc::not_a_state);
      return 0;
    }
    return protocol::load_be<std::uint64_t>(opened->state->permanent.data());
  }

  tpm::local_key key;
  actors::key_authority_actor authority;
  actors::persistence_actor persistence;
  actors::response_actor gate;
  actors::tpm_actor executor;
  actors::control_actor control;
  actors::stats_actor stats;
  actors::supervisor_actor supervisor;
};

} // namespace vtpm::tests
