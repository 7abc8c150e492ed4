#include "actors/persistence.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "protocol/log.hpp"

namespace vtpm::actors {

namespace {

using self_type = self_pointer<persistence_state, persistence_actor>;

void fail_waiting(persistence_state& state, const caf::error& reason) {
  for (auto& change : state.waiting)
    change.promise.deliver(reason);
  state.waiting.clear();
}

void flush_now(self_type self) {
  self->state.phase = commit_phase::queued;
  self->send(self, flush_atom_v);
}

/// Beyond the limit nobody knows what the guests may be told: everyone waiting
/// gets an unknown outcome, and the TPM is told to run no more commands.
void fail_stop(self_type self) {
  auto& state = self->state;
  state.phase = commit_phase::stopped;
  state.report.stopped = true;
  log().error("commits have failed for {} ms: the TPM runs no more commands; "
              "mend the storage, then give vtpmctl resume, or abandon what is "
              "not stored",
              state.paused.count());
  fail_waiting(state, caf::make_error(domain_errc::unknown_outcome));
  if (state.watcher)
    self->send(state.watcher, stop_atom_v);
}

/// Repeats the commit after a pause, or fails stop.
void retry(self_type self, const tpm::error& reason) {
  auto& state = self->state;
  state.report.failing = true;
  ++state.report.retries;
  if (state.paused >= state.retries.limit) {
    log().error("commit: {}", reason.detail);
    fail_stop(self);
    return;
  }
  const auto pause
    = std::clamp(state.next_pause, state.retries.first, state.retries.most);
  log().warn("commit: {}; trying again in {} ms", reason.detail, pause.count());
  state.paused += pause;
  state.next_pause = pause * 2;
  state.phase = commit_phase::queued;
  self->delayed_send(self, pause, flush_atom_v);
}

void start_commit(self_type self) {
  auto& state = self->state;
  assert(state.phase == commit_phase::queued);
  assert(state.newest);
  auto write = state.store->prepare(state.newest->gen, *state.newest->state);
  if (!write) {
    retry(self, write.error());
    return;
  }
  state.started = std::chrono::steady_clock::now();
  state.record = std::move(write->record);
  state.phase = commit_phase::writing;
  state.committer->start(write->offset, write->data);
}

void acknowledge(self_type self) {
  auto& state = self->state;
  const auto receipt = state.store->acknowledge();
  const auto elapsed = std::chrono::steady_clock::now() - state.started;
  auto& report = state.report;
  ++report.commits;
  report.latency.record(
    static_cast<std::uint64_t>(std::chrono::nanoseconds{elapsed}.count()));
  if (std::exchange(report.failing, false))
    log().info("commits work again");
  state.paused = state.next_pause = std::chrono::milliseconds{0};
  if (std::exchange(report.stopped, false) && state.watcher)
    self->send(state.watcher, resume_atom_v);
  auto covered = [&](awaited_change& change) {
    if (change.needs > receipt.through())
      return false;
    change.promise.deliver(receipt);
    ++report.changes;
    return true;
  };
  std::erase_if(state.waiting, covered);
  if (state.newest->gen > receipt.through()) {
    flush_now(self);
  } else {
    state.phase = commit_phase::idle;
    state.newest.reset();
  }
}

void replace_record(self_type self) {
  auto& state = self->state;
  state.phase = commit_phase::replacing;
  auto unanswered = [self](const caf::error& reason) {
    self->state.unresolved = true;
    auto why = "the key authority did not answer: " + explain(reason);
    // What it took counts as a pause: one that is away must not be waited for
    // longer than a disk that fails.
    if (reason == caf::sec::request_timeout)
      self->state.paused += self->state.retries.authority_limit;
    retry(self, {tpm::errc::io, std::move(why)});
  };
  self
    ->request(state.authority, state.retries.authority_limit, replace_atom_v,
              state.record)
    .then([self](done_atom) { acknowledge(self); }, std::move(unanswered));
}

void write_ended(self_type self) {
  auto& state = self->state;
  auto ended = state.committer->finish();
  if (!ended)
    return; // a descriptor may be seen readable once more than there is news
  assert(state.phase == commit_phase::writing);
  if (*ended)
    replace_record(self);
  else
    retry(self, ended->error());
}

} // namespace

persistence_state::~persistence_state() {
  fail_waiting(*this, caf::make_error(caf::sec::request_receiver_down));
}

persistence_actor::behavior_type persistence(
  self_type self, std::unique_ptr<tpm::state_store> store,
  std::unique_ptr<tpm::committer> committer, key_authority_actor authority,
  retry_policy retries) {
  auto& initial = self->state;
  initial.store = std::move(store);
  initial.committer = std::move(committer);
  initial.authority = std::move(authority);
  initial.retries = retries;
  return {
    [self](commit_atom,
           state_change& change) -> caf::result<tpm::durable_receipt> {
      auto& state = self->state;
      const auto gen = change.gen;
      // Kept even when stopped: `resume` must commit the newest state.
      if (!state.newest || state.newest->gen < gen)
        state.newest = std::move(change);
      if (state.phase == commit_phase::stopped)
        return caf::make_error(domain_errc::unknown_outcome);
      auto promise = self->make_response_promise<tpm::durable_receipt>();
      state.waiting.push_back({gen, promise});
      if (state.phase == commit_phase::idle)
        flush_now(self);
      return promise;
    },
    [self](flush_atom) {
      // A pause that a drain has cut short ends twice.
      if (self->state.phase != commit_phase::queued)
        return;
      // Which of the two records the authority holds decides which slot is
      // live: until it says, no slot may be written.
      if (std::exchange(self->state.unresolved, false))
        replace_record(self);
      else
        start_commit(self);
    },
    [self](written_atom) { write_ended(self); },
    [self](watch_atom, tpm_actor& watcher) {
      self->state.watcher = std::move(watcher);
    },
    [self](resume_atom) {
      auto& state = self->state;
      if (state.phase != commit_phase::stopped)
        return;
      state.paused = state.next_pause = std::chrono::milliseconds{0};
      flush_now(self);
    },
    [self](drain_atom) {
      // From now on; a pause under way ends as it was planned, unless it is
      // one that the new limit does not leave room for.
      auto& state = self->state;
      auto& limits = state.retries;
      limits.most = limits.first;
      limits.limit = std::min(limits.limit, state.paused + limits.drain_limit);
      if (state.phase == commit_phase::queued)
        self->send(self, flush_atom_v);
    },
    [self](report_atom) {
      auto report = self->state.report;
      report.store = self->state.store->status();
      return report;
    },
    [self](stats_atom) { return self->stats(); },
  };
}

} // namespace vtpm::actors
