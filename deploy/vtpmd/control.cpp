#include "deploy/vtpmd/control.hpp"

#include <functional>
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

using reply_promise = caf::typed_response_promise<std::string>;

/// Answers with what went wrong.
auto failure_to(reply_promise promise, std::string what) {
  return [promise, what](const caf::error& reason) mutable {
    promise.deliver(control_failure(what + explain(reason)));
  };
}

/// Answers with what `make` reads off a report.
caf::result<std::string> reported(self_type self, json_maker make) {
  auto promise = self->make_response_promise<std::string>();
  auto answer = [promise, make](const domain_report& report) mutable {
    promise.deliver(control_success(make(report)));
  };
  self->request(self->state.parts.stats, caf::infinite, report_atom_v)
    .then(answer, failure_to(promise, ""));
  return promise;
}

caf::result<std::string> reset(self_type self) {
  auto promise = self->make_response_promise<std::string>();
  auto answer = [promise](done_atom) mutable {
    log().info("TPM reset by the operator");
    promise.deliver(control_success(nlohmann::json::object()));
  };
  auto& parts = self->state.parts;
  self->request(parts.tpm, caf::infinite, reset_atom_v, parts.startup)
    .then(answer, failure_to(promise, "the TPM was not reset: "));
  return promise;
}

/// Does `act` if commits are as `fits` wants them, else answers `why_not`.
caf::result<std::string> about_commits(self_type self,
                                       bool (*fits)(const commit_report&),
                                       const char* why_not,
                                       std::function<void()> act) {
  auto promise = self->make_response_promise<std::string>();
  auto answer = [=](const commit_report& report) mutable {
    if (!fits(report)) {
      promise.deliver(control_failure(why_not));
      return;
    }
    act();
    promise.deliver(control_success(nlohmann::json::object()));
  };
  self->request(self->state.parts.store, caf::infinite, report_atom_v)
    .then(answer, failure_to(promise, ""));
  return promise;
}

caf::result<std::string> resume(self_type self) {
  return about_commits(
    self, [](const commit_report& report) { return report.stopped; },
    "commits have not stopped, so there is nothing to resume",
    [self] {
      log().info("commits are tried again, the operator says");
      self->send(self->state.parts.store, resume_atom_v);
    });
}

caf::result<std::string> abandon(self_type self) {
  return about_commits(
    self,
    [](const commit_report& report) {
      return report.failing || report.stopped;
    },
    "commits work, so there is nothing to abandon",
    [self] { self->state.parts.end(ending::abandon); });
}

caf::result<std::string> end(self_type self, ending how) {
  self->state.parts.end(how);
  return control_success(nlohmann::json::object());
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
      self->state.parts.keep_next();
      return control_success(nlohmann::json::object());
    case control_request::resume:
      return resume(self);
    case control_request::abandon:
      return abandon(self);
    case control_request::restart:
      return end(self, ending::restart);
    case control_request::shutdown:
      return end(self, ending::stop);
  }
  return control_failure("unknown request");
}

} // namespace

control_actor::behavior_type control(self_type self, control_parts parts) {
  self->state.parts = std::move(parts);
  return {
    [self](control_atom, control_caller caller, const std::string& text) {
      return carry_out(self, caller, text);
    },
    [self](stats_atom) { return self->stats(); },
  };
}

} // namespace vtpm::deploy
