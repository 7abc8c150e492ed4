#include "deploy/vtpmd/control.hpp"

#include <utility>

#include <caf/event_based_actor.hpp>
#include <nlohmann/json.hpp>

#include "deploy/vtpmd/control_request.hpp"
#include "deploy/vtpmd/report_json.hpp"
#include "protocol/log.hpp"

namespace vtpm::deploy {

namespace {

using namespace actors;
using self_type = self_pointer<control_state, control_actor>;
using json_maker = nlohmann::json (*)(const domain_report&);

/// Answers with what `make` reads off a report.
caf::result<std::string> reported(self_type self, json_maker make) {
  auto promise = self->make_response_promise<std::string>();
  self->request(self->state.stats, caf::infinite, report_atom_v)
    .then(
      [promise, make](const domain_report& report) mutable {
        promise.deliver(control_success(make(report)));
      },
      [promise](const caf::error& reason) mutable {
        promise.deliver(control_failure(explain(reason)));
      });
  return promise;
}

caf::result<std::string> reset(self_type self) {
  auto promise = self->make_response_promise<std::string>();
  self
    ->request(self->state.tpm, caf::infinite, reset_atom_v, self->state.startup)
    .then(
      [promise](done_atom) mutable {
        log().info("TPM reset by the operator");
        promise.deliver(control_success(nlohmann::json::object()));
      },
      [promise](const caf::error& reason) mutable {
        promise.deliver(
          control_failure("the TPM was not reset: " + explain(reason)));
      });
  return promise;
}

caf::result<std::string> carry_out(self_type self, control_caller caller,
                                   const std::string& text) {
  const auto asked = parse_control_request(text);
  if (!asked)
    return control_failure(asked.error().text);
  if (caller == control_caller::ring && !allowed_on_ring(*asked))
    return control_failure(std::string{to_string(*asked)}
                           + " is not for a ring; use the control socket");
  switch (*asked) {
    case control_request::status:
      return reported(self, status_json);
    case control_request::frontends:
      return reported(self, [](const domain_report& report) {
        return frontends_json(report.frontends);
      });
    case control_request::stats:
      return reported(self, stats_json);
    case control_request::reset:
      return reset(self);
    case control_request::keep_next:
      self->state.keep_next();
      return control_success(nlohmann::json::object());
    case control_request::shutdown:
      self->state.shut_down();
      return control_success(nlohmann::json::object());
  }
  return control_failure("unknown request");
}

} // namespace

control_actor::behavior_type control(self_type self, stats_actor stats,
                                     tpm_actor tpm, tpm::startup startup,
                                     std::function<void()> shut_down,
                                     std::function<void()> keep_next) {
  auto& state = self->state;
  state.stats = std::move(stats);
  state.tpm = std::move(tpm);
  state.startup = startup;
  state.shut_down = std::move(shut_down);
  state.keep_next = std::move(keep_next);
  return {
    [self](control_atom, control_caller caller, const std::string& text) {
      return carry_out(self, caller, text);
    },
    [self](stats_atom) { return self->stats(); },
  };
}

} // namespace vtpm::deploy
