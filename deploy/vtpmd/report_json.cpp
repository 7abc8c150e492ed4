#include "deploy/vtpmd/report_json.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace vtpm::deploy {

namespace {

using nlohmann::json;

double microseconds(std::uint64_t nanoseconds) {
  return static_cast<double>(nanoseconds) / 1000.0;
}

json latency_json(const actors::histogram& latency) {
  return {{"p50", microseconds(latency.quantile(0.5))},
          {"p99", microseconds(latency.quantile(0.99))}};
}

json tpm_json(const actors::domain_report& report) {
  const auto& tpm = report.tpm;
  const auto& store = report.commits.store;
  return {{"version", to_string(store.version)},
          {"uuid", tpm::to_string(store.id)},
          {"generation", tpm.gen},
          {"commands", tpm.commands},
          {"offloaded", tpm.offloaded},
          {"resets", tpm.resets},
          {"queued", tpm.queued},
          {"running", tpm.running},
          {"shadow", tpm.shadowed ? "on" : "off"},
          {"stopped", tpm.stopped}};
}

json platform_json(const actors::platform_report& platform) {
  return {{"primary", platform.primary},
          {"domid", platform.domain ? json(*platform.domain) : json{}},
          {"keep_next", platform.keep_next},
          {"resets", platform.resets}};
}

std::size_t connected_among(
  const std::vector<actors::frontend_report>& frontends) {
  const auto count = std::count_if(
    frontends.begin(), frontends.end(), [](const auto& frontend) {
      return frontend.state == actors::frontend_state::connected;
    });
  return static_cast<std::size_t>(count);
}

json commits_json(const actors::commit_report& commits) {
  const auto per_commit = commits.commits == 0
    ? 0.0
    : static_cast<double>(commits.changes)
      / static_cast<double>(commits.commits);
  return {{"commits", commits.commits},
          {"changes", commits.changes},
          {"commands_per_commit", per_commit},
          {"retries", commits.retries},
          {"failing", commits.failing},
          {"stopped", commits.stopped},
          {"latency_us", latency_json(commits.latency)},
          {"generation", commits.store.durable},
          {"slot", commits.store.live_slot}};
}

json actor_json(const std::string& name, const actors::actor_stats& stats) {
  return {{"name", name},
          {"mailbox",
           {{"now", stats.mailbox_depth}, {"max", stats.mailbox_depth_max}}},
          {"handled", stats.handled},
          {"busy_us", microseconds(static_cast<std::uint64_t>(stats.busy_ns))}};
}

json counters_json(const actors::frontend_counters& counted) {
  return {{"commands", counted.commands},
          {"errors", counted.errors},
          {"malformed", counted.malformed},
          {"denied", counted.denied},
          {"refused", counted.refused},
          {"cancels", counted.cancels},
          {"bytes_in", counted.bytes_in},
          {"bytes_out", counted.bytes_out},
          {"latency_us", latency_json(counted.latency)}};
}

json frontend_json(const actors::frontend_report& frontend) {
  auto object = counters_json(frontend);
  object["domid"] = frontend.id.domain;
  object["handle"] = frontend.id.handle;
  object["uuid"] = frontend.uuid;
  object["state"] = to_string(frontend.state);
  object["primary"] = frontend.primary;
  return object;
}

} // namespace

json status_json(const actors::domain_report& report) {
  return {{"tpm", tpm_json(report)},
          {"commits", commits_json(report.commits)},
          {"platform", platform_json(report.platform)},
          {"frontends", connected_among(report.frontends.present)}};
}

json frontends_json(const actors::frontends_report& frontends) {
  auto list = json::array();
  for (const auto& frontend : frontends.present)
    list.push_back(frontend_json(frontend));
  auto gone = counters_json(frontends.gone_counters);
  gone["frontends"] = frontends.gone;
  return {{"frontends", std::move(list)}, {"gone", std::move(gone)}};
}

json stats_json(const actors::domain_report& report) {
  auto list = json::array();
  for (const auto& [name, stats] : report.actors)
    list.push_back(actor_json(name, stats));
  auto object = frontends_json(report.frontends);
  object["tpm"] = tpm_json(report);
  object["commits"] = commits_json(report.commits);
  object["platform"] = platform_json(report.platform);
  object["actors"] = std::move(list);
  return object;
}

} // namespace vtpm::deploy
