#include "actors/stats.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "actors/collect.hpp"

namespace vtpm::actors {

namespace {

using self_type = self_pointer<stats_state, stats_actor>;

constexpr auto answer_limit = std::chrono::seconds{1};

/// Asks `whom` and lets `take` put the answer into the report.
template <class Answer, class Atom, class Handle, class Take>
void ask(self_type self, std::shared_ptr<collector<domain_report>> all,
         const Handle& whom, Atom question, Take take) {
  self->request(whom, answer_limit, question)
    .then(
      [all, take](Answer& answer) {
        take(all->value, std::move(answer));
        all->arrived();
      },
      [all](const caf::error&) { all->arrived(); });
}

caf::result<domain_report> report(self_type self) {
  auto& state = self->state;
  auto promise = self->make_response_promise<domain_report>();
  const auto expected = state.watched.size() + 2 + (state.supervisor ? 2 : 0);
  auto all = std::make_shared<collector<domain_report>>(expected, promise);
  for (auto& [address, watched] : state.watched)
    ask<actor_stats>(
      self, all, watched.who, stats_atom_v,
      [name = watched.name](domain_report& to, actor_stats answer) {
        to.actors.emplace_back(name, answer);
      });
  ask<tpm_report>(
    self, all, state.tpm, report_atom_v,
    [](domain_report& to, tpm_report answer) { to.tpm = std::move(answer); });
  ask<commit_report>(self, all, state.persistence, report_atom_v,
                     [](domain_report& to, commit_report answer) {
                       to.commits = std::move(answer);
                     });
  if (state.supervisor) {
    ask<platform_report>(self, all, state.supervisor, platform_atom_v,
                         [](domain_report& to, platform_report answer) {
                           to.platform = std::move(answer);
                         });
    ask<frontends_report>(self, all, state.supervisor, report_atom_v,
                          [](domain_report& to, frontends_report answer) {
                            to.frontends = std::move(answer);
                          });
  }
  return promise;
}

} // namespace

stats_actor::behavior_type stats(self_type self, tpm_actor tpm,
                                 persistence_actor persistence) {
  self->state.tpm = std::move(tpm);
  self->state.persistence = std::move(persistence);
  self->set_down_handler([self](const caf::down_msg& down) {
    self->state.watched.erase(down.source);
  });
  return {
    [self](watch_atom, std::string& name, metered_actor& who) {
      self->monitor(who);
      const auto address = who.address();
      self->state.watched[address] = {std::move(name), std::move(who)};
    },
    [self](watch_atom, supervisor_actor& who) {
      self->state.supervisor = std::move(who);
    },
    [self](report_atom) { return report(self); },
    [self](stats_atom) { return self->stats(); },
  };
}

} // namespace vtpm::actors
