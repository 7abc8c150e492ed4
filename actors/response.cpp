#include "actors/response.hpp"

#include <cassert>
#include <utility>

namespace vtpm::actors {

namespace {

void fail_held(response_state& state, const caf::error& reason) {
  for (auto& response : state.held)
    response.promise.deliver(reason);
  state.held.clear();
}

void release(response_state& state, tpm::durable_receipt receipt) {
  if (receipt.through() <= state.latest.through())
    return; // an earlier receipt, of the same commit, already said so
  state.latest = receipt;
  while (!state.held.empty() && state.held.front().needs <= receipt.through()) {
    auto& [needs, octets, promise] = state.held.front();
    promise.deliver(released_response{std::move(octets), needs, receipt});
    state.held.pop_front();
  }
}

} // namespace

response_state::~response_state() {
  fail_held(*this, caf::make_error(caf::sec::request_receiver_down));
}

response_actor::behavior_type response(
  self_pointer<response_state, response_actor> self,
  persistence_actor persistence, tpm::durable_receipt known) {
  self->state.latest = known;
  return {
    [self, persistence](release_atom,
                        outcome& decided) -> caf::result<released_response> {
      auto& state = self->state;
      assert(state.held.empty() || state.held.back().needs <= decided.gen);
      if (decided.changed != nullptr) {
        ++state.asked;
        self
          ->request(persistence, caf::infinite, commit_atom_v,
                    state_change{decided.gen, std::move(decided.changed)})
          .then(
            [self](tpm::durable_receipt receipt) {
              --self->state.asked;
              release(self->state, receipt);
            },
            [self](caf::error& reason) {
              --self->state.asked;
              fail_held(self->state, reason);
            });
      }
      if (decided.gen <= state.latest.through())
        return released_response{std::move(decided.response), decided.gen,
                                 state.latest};
      // Commits have failed for good and this came too late to share their end.
      if (state.asked == 0)
        return caf::make_error(domain_errc::unknown_outcome);
      auto promise = self->make_response_promise<released_response>();
      state.held.push_back({decided.gen, std::move(decided.response), promise});
      return promise;
    },
    [self](stats_atom) { return self->stats(); },
  };
}

} // namespace vtpm::actors
