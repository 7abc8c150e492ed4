#include "tests/simulation/process.hpp"

#include <utility>

#include <caf/send.hpp>

#include "actors/key_authority.hpp"
#include "actors/response.hpp"
#include "actors/supervisor.hpp"
#include "actors/tpm.hpp"

namespace vtpm::simulation {

namespace {

using namespace actors;

/// State of the CONTROL actor, which no guest here may talk to.
struct silent_state {
  static inline const char* name = "control";
};

control_actor::behavior_type silent_control(
  self_pointer<silent_state, control_actor> self) {
  return {
    [](control_atom, control_caller, const std::string&) {
      return std::string{};
    },
    [self](stats_atom) { return self->stats(); },
  };
}

/// State of the KEY_AUTHORITY actor that keeps records.
struct record_keeper_state {
  static inline const char* name = "key_authority";
};

key_authority_actor::behavior_type record_keeper(
  self_pointer<record_keeper_state, key_authority_actor> self,
  key_keeper* keys) {
  return {
    [keys](replace_atom,
           const tpm::key_record& record) -> caf::result<done_atom> {
      const auto is_away = keys->is_away();
      if (!is_away || keys->is_made_all_the_same())
        keys->record = record;
      if (is_away)
        return caf::make_error(caf::sec::request_timeout);
      return done_atom_v;
    },
    [self](stats_atom) { return self->stats(); },
  };
}

} // namespace

tpm::result<std::unique_ptr<process>> process::start(
  surroundings around, const engine_kit& kit, retry_policy retries,
  const std::function<void(tpm::engine&)>& look) {
  auto opened = around.keys.keeps_records
    ? tpm::state_store::open(around.disk, around.keys.record.value(),
                             kit.version)
    : tpm::state_store::open(around.disk, around.keys.secret, kit.version,
                             false);
  if (!opened)
    return opened.error();
  auto powered = power_on(kit, std::move(opened->state));
  if (!powered)
    return powered.error();
  look(*powered->instance);
  return std::unique_ptr<process>{new process(around, std::move(opened->store),
                                              *std::move(powered), retries)};
}

process::process(surroundings around, std::unique_ptr<tpm::state_store> store,
                 tpm::powered_engine powered, retry_policy retries)
  : actors_(around.actors), disk_(around.disk) {
  auto& system = actors_.system;
  const auto status = store->status();
  const auto known = store->latest();
  auto writer = std::make_unique<tests::scripted_committer>(disk_);
  committer_ = writer.get();
  authority_ = around.keys.keeps_records
    ? system.spawn(record_keeper, &around.keys)
    : system.spawn(local_authority);
  store_ = system.spawn(persistence, std::move(store), std::move(writer),
                        authority_, retries);
  gate_ = system.spawn(response, store_, known);
  executor_
    = system.spawn(tpm_executor,
                   tpm_parts{std::move(powered.instance), status.durable,
                             std::move(powered.changed)},
                   gate_, worker_);
  caf::anon_send(store_, watch_atom_v, executor_);
  control_ = system.spawn(silent_control);
  stats_ = system.spawn(stats, executor_, store_);
  auto parts = supervisor_parts{};
  parts.store = &around.xen.store();
  parts.grants = &around.xen.grants();
  parts.events = &around.xen.events();
  parts.version = status.version;
  parts.tpm = executor_;
  parts.control = control_;
  parts.stats = stats_;
  supervisor_ = system.spawn(supervisor, std::move(parts));
}

process::~process() {
  die();
}

void process::die() {
  if (!std::exchange(alive_, false))
    return;
  // Exits overtake all other mail.
  for (auto end :
       {caf::actor_cast<caf::actor>(supervisor_),
        caf::actor_cast<caf::actor>(stats_),
        caf::actor_cast<caf::actor>(control_),
        caf::actor_cast<caf::actor>(executor_),
        caf::actor_cast<caf::actor>(gate_), caf::actor_cast<caf::actor>(store_),
        caf::actor_cast<caf::actor>(authority_)})
    caf::anon_send_exit(end, caf::exit_reason::kill);
  committer_ = nullptr;
  worker_->abandon();
  actors_.settle();
}

void process::drain() {
  caf::anon_send(store_, drain_atom_v);
  caf::anon_send(supervisor_, drain_atom_v);
}

void process::resume() {
  caf::anon_send(store_, resume_atom_v);
}

void process::reset_platform() {
  caf::anon_send(executor_, reset_atom_v, tpm::startup::clear);
}

} // namespace vtpm::simulation
