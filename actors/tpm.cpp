#include "actors/tpm.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include "protocol/error_response.hpp"
#include "protocol/log.hpp"
#include "protocol/ordinal.hpp"

namespace vtpm::actors {

namespace {

using self_type = self_pointer<tpm_state, tpm_actor>;

/// How long the worker gets to begin with a command before the wish to cancel
/// it is repeated.
constexpr auto cancel_interval = std::chrono::milliseconds{10};

protocol::ordinal_attributes attributes(const tpm_state& state,
                                        const command& request) {
  return protocol::attributes_of(state.engine->version(), request.octets);
}

/// Has the shadow keep the engine's state as of generation `gen`.
/// @param answer Null if nobody is to hear of it.
void keep(tpm_state& state, tpm::generation gen,
          const tpm::answer_view* answer) {
  auto octets = state.engine->volatile_state();
  if (octets) {
    state.shadow->keep(gen, state.engine->current(), *octets, answer);
    return;
  }
  log().error("no shadow from here on: {}", octets.error().detail);
  state.shadow->discard();
}

/// Puts what a command did into the shadow.
void shade(tpm_state& state, const tpm::execution& done,
           const command& request) {
  if (state.shadow == nullptr)
    return;
  const auto size = static_cast<std::uint32_t>(request.octets.size());
  const auto answer = tpm::answer_view{
    key_of(request.source),
    tpm::print_of(size, request.locality, request.octets), done.response};
  if (done.changed != nullptr || attributes(state, request).changes_volatile)
    keep(state, state.gen, &answer);
  else
    state.shadow->record(answer);
}

/// Stamps what the engine did for `request`; for nobody if that is null.
outcome stamp(tpm_state& state, tpm::execution done, const command* request) {
  if (done.changed != nullptr)
    ++state.gen;
  if (request != nullptr)
    shade(state, done, *request);
  else if (state.shadow != nullptr)
    keep(state, state.gen, nullptr);
  return {std::move(done.response), state.gen, std::move(done.changed)};
}

outcome run(tpm_state& state, const command& request) {
  ++state.report.commands;
  return stamp(state, state.engine->execute(request.locality, request.octets),
               &request);
}

/// Commits what a reset or the like did, then answers `promise`.
void commit_then_answer(self_type self, outcome done,
                        caf::typed_response_promise<done_atom> promise) {
  self
    ->request(self->state.response, caf::infinite, release_atom_v,
              std::move(done))
    .then([promise](
            const released_response&) mutable { promise.deliver(done_atom_v); },
          [promise](caf::error& reason) mutable {
            promise.deliver(std::move(reason));
          });
}

job_result reset_engine(tpm::engine& engine, tpm::startup how) {
  auto changed = engine.reset(how);
  if (changed)
    return {{{}, std::move(*changed)}, false};
  // It answers every command with a failure from now on, as the guests must
  // see.
  log().error("TPM reset: {}", changed.error().detail);
  return {{}, true};
}

/// Lends the engine to the worker.
void lend(self_type self, std::variant<waiting_command, waiting_reset> what) {
  auto& state = self->state;
  assert(!state.lent);
  auto result = std::make_shared<job_result>();
  state.lent = lent_job{++state.last_job, std::move(what), false, result};
  ++state.report.offloaded;
  std::function<job_result()> job;
  if (auto* asked = std::get_if<waiting_command>(&state.lent->what)) {
    state.report.running = attributes(state, asked->request).name;
    job = [engine = state.engine, request = asked->request] {
      return job_result{engine->execute(request.locality, request.octets)};
    };
  } else {
    state.report.running = "reset";
    job = [engine = state.engine,
           how = std::get<waiting_reset>(state.lent->what).how] {
      return reset_engine(*engine, how);
    };
  }
  state.helper->run(
    [job = std::move(job), result, owner = caf::actor_cast<tpm_actor>(self)] {
      *result = job();
      caf::anon_send(owner, finished_atom_v);
    });
}

/// Has everything up to now committed although nobody asks for it; responses
/// that come meanwhile wait for the same receipt. A failure needs no answer
/// here: PERSISTENCE tells us to stop.
void commit_unasked(self_type self, tpm::snapshot_ptr changed) {
  self
    ->request(self->state.response, caf::infinite, release_atom_v,
              stamp(self->state, {{}, std::move(changed)}, nullptr))
    .then([](const released_response&) { log().debug("the TPM is stored"); },
          [](const caf::error& reason) {
            log().error("the TPM is not stored: {}", explain(reason));
          });
}

/// Prepares the engine for power-off once nobody else holds it.
void finish_drain(self_type self) {
  auto& state = self->state;
  if (!state.draining || state.lent || !state.drained.pending())
    return;
  if (state.stopped) {
    std::exchange(state.drained, {})
      .deliver(caf::make_error(domain_errc::stopped));
    return;
  }
  // A successor in this boot goes on from here, as if there had been no
  // Shutdown: what the shadow holds is newer than what is stored now. Anyone
  // later finds a TPM that was shut down.
  if (state.shadow != nullptr)
    keep(state, state.gen + 2, nullptr);
  auto changed = state.engine->prepare_exit();
  if (!changed)
    log().warn("TPM shutdown: {}", changed.error().detail);
  else if (*changed != nullptr)
    ++state.gen;
  commit_then_answer(self,
                     {{}, state.gen, changed ? std::move(*changed) : nullptr},
                     std::exchange(state.drained, {}));
}

void refuse_all(tpm_state& state, domain_errc reason) {
  for (auto& entry : state.queue)
    std::visit(
      [reason](auto& waiting) {
        waiting.promise.deliver(caf::make_error(reason));
      },
      entry);
  state.queue.clear();
}

/// Runs what waits, until the engine is lent again.
void run_queue(self_type self) {
  auto& state = self->state;
  while (!state.lent && !state.queue.empty()) {
    auto next = std::move(state.queue.front());
    state.queue.pop_front();
    auto* waiting = std::get_if<waiting_command>(&next);
    if (waiting == nullptr || attributes(state, waiting->request).expensive) {
      lend(self, std::move(next));
      continue;
    }
    waiting->promise.delegate(state.response, release_atom_v,
                              run(state, waiting->request));
  }
}

/// Hands over what the worker did for a command.
void finish_command(self_type self, waiting_command& asked, tpm::execution done,
                    bool interrupted) {
  auto& state = self->state;
  ++state.report.commands;
  // Its frontend did not ask for this end. Left in the page, the command runs
  // again under a successor that has all it needs.
  static const auto cancelled
    = protocol::error_response(tpm_version::v2_0, protocol::refusal::cancelled);
  if (interrupted && state.shadow != nullptr && done.changed == nullptr
      && std::ranges::equal(done.response, cancelled)) {
    asked.promise.deliver(caf::make_error(domain_errc::draining));
    return;
  }
  asked.promise.delegate(state.response, release_atom_v,
                         stamp(state, std::move(done), &asked.request));
}

void take_back(self_type self) {
  auto& state = self->state;
  assert(state.lent);
  auto job = std::move(*state.lent);
  state.lent.reset();
  state.report.running.clear();
  auto& [done, failed] = *job.result;
  if (auto* asked = std::get_if<waiting_command>(&job.what)) {
    finish_command(self, *asked, std::move(done), job.interrupted);
  } else {
    auto& promise = std::get<waiting_reset>(job.what).promise;
    ++state.report.resets;
    auto decided = stamp(state, std::move(done), nullptr);
    if (failed)
      promise.deliver(caf::make_error(domain_errc::engine_failed));
    else
      commit_then_answer(self, std::move(decided), promise);
  }
  if (std::exchange(state.cover_pending, false))
    commit_unasked(self, state.engine->current());
  run_queue(self);
  finish_drain(self);
}

/// Asks the engine to end the job `number`, until it has ended: the worker may
/// not have begun with it yet, and then there is nothing to cancel.
void cancel_running(self_type self, std::uint64_t number) {
  auto& state = self->state;
  if (!state.lent || state.lent->number != number)
    return;
  state.engine->cancel();
  self->delayed_send(self, cancel_interval, cancel_atom_v, number);
}

void cancel(self_type self, const frontend_id& source) {
  auto& state = self->state;
  auto is_its = [&](const std::variant<waiting_command, waiting_reset>& entry) {
    auto* waiting = std::get_if<waiting_command>(&entry);
    return waiting != nullptr && waiting->request.source == source;
  };
  for (auto& entry : state.queue)
    if (is_its(entry))
      std::get<waiting_command>(entry).promise.deliver(
        caf::make_error(domain_errc::cancelled));
  std::erase_if(state.queue, is_its);
  // A frontend whose command waits has none running but one from before it
  // reconnected, which nobody waits for.
  if (state.lent && is_its(state.lent->what)) {
    state.lent->interrupted = false;
    cancel_running(self, state.lent->number);
  }
}

/// Returns why no command may run now, or nothing.
caf::error obstacle(const tpm_state& state) {
  if (state.draining)
    return caf::make_error(domain_errc::draining);
  if (state.stopped)
    return caf::make_error(domain_errc::stopped);
  return {};
}

caf::result<released_response> execute(self_type self, command& request) {
  auto& state = self->state;
  if (auto reason = obstacle(state))
    return reason;
  if (!state.lent && !attributes(state, request).expensive) {
    return self->delegate(state.response, release_atom_v, run(state, request));
  }
  auto promise = self->make_response_promise<released_response>();
  auto waiting = waiting_command{std::move(request), promise};
  if (state.lent)
    state.queue.emplace_back(std::move(waiting));
  else
    lend(self, std::move(waiting));
  return promise;
}

caf::result<released_response> recall(self_type self,
                                      recalled_response& decided) {
  auto& state = self->state;
  if (auto reason = obstacle(state))
    return reason;
  return self->delegate(state.response, release_atom_v,
                        outcome{std::move(decided.octets), state.gen, nullptr});
}

caf::result<done_atom> reset(self_type self, tpm::startup how) {
  auto& state = self->state;
  if (auto reason = obstacle(state))
    return reason;
  auto promise = self->make_response_promise<done_atom>();
  // Even a quick one goes to the worker: a 1.2 TPM takes long to come up.
  if (state.lent)
    state.queue.emplace_back(waiting_reset{how, promise});
  else
    lend(self, waiting_reset{how, promise});
  return promise;
}

/// Whatever was decided before the stop is covered by one more commit: nobody
/// waits any more for the receipt of the last one.
void resume(self_type self) {
  auto& state = self->state;
  if (!std::exchange(state.stopped, false))
    return;
  if (state.lent)
    state.cover_pending = true;
  else
    commit_unasked(self, state.engine->current());
}

caf::result<done_atom> drain(self_type self) {
  auto& state = self->state;
  if (state.draining)
    return caf::make_error(domain_errc::draining);
  state.draining = true;
  state.drained = self->make_response_promise<done_atom>();
  auto promise = state.drained;
  refuse_all(state, domain_errc::draining);
  if (state.lent && std::holds_alternative<waiting_command>(state.lent->what)) {
    state.lent->interrupted = true;
    cancel_running(self, state.lent->number);
  }
  finish_drain(self);
  return promise;
}

} // namespace

tpm_state::~tpm_state() {
  const auto reason = caf::make_error(caf::sec::request_receiver_down);
  auto fail = [&](auto& waiting) { waiting.promise.deliver(reason); };
  for (auto& entry : queue)
    std::visit(fail, entry);
  if (lent)
    std::visit(fail, lent->what);
  if (drained.pending())
    drained.deliver(reason);
}

tpm_actor::behavior_type tpm_executor(self_type self, tpm_parts parts,
                                      response_actor response_handle,
                                      std::shared_ptr<worker> helper) {
  auto& initial = self->state;
  initial.engine = std::move(parts.engine);
  initial.gen = parts.gen;
  initial.response = std::move(response_handle);
  initial.helper = std::move(helper);
  initial.shadow = std::move(parts.shadow);
  if (parts.changed != nullptr)
    commit_unasked(self, std::move(parts.changed));
  return {
    [self](execute_atom, command& request) { return execute(self, request); },
    [self](recall_atom, recalled_response& decided) {
      return recall(self, decided);
    },
    [self](cancel_atom, const frontend_id& source) { cancel(self, source); },
    [self](cancel_atom, std::uint64_t number) { cancel_running(self, number); },
    [self](reset_atom, tpm::startup how) { return reset(self, how); },
    [self](drain_atom) { return drain(self); },
    [self](finished_atom) { take_back(self); },
    [self](stop_atom) {
      self->state.stopped = true;
      refuse_all(self->state, domain_errc::stopped);
    },
    [self](resume_atom) { resume(self); },
    [self](report_atom) {
      auto& state = self->state;
      auto report = state.report;
      report.gen = state.gen;
      report.queued = state.queue.size();
      report.stopped = state.stopped;
      report.shadowed = state.shadow != nullptr && state.shadow->works();
      return report;
    },
    [self](stats_atom) { return self->stats(); },
  };
}

} // namespace vtpm::actors
