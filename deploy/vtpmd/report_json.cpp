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

json frontend_json(const actors::frontend_report& frontend) {
  return {{"domid", frontend.id.domain},
          {"handle", frontend.id.handle},
          {"uuid", frontend.uuid},
          {"state", to_string(frontend.state)},
          {"primary", frontend.primary},
          {"commands", frontend.commands},
          {"errors", frontend.errors},
          {"malformed", frontend.malformed},
          {"denied", frontend.denied},
          {"cancels", frontend.cancels},
          {"bytes_in", frontend.bytes_in},
          {"bytes_out", frontend.bytes_out},
          {"latency_us", latency_json(frontend.latency)}};
}

} // namespace

json status_json(const actors::domain_report& report) {
  return {{"tpm", tpm_json(report)},
          {"commits", commits_json(report.commits)},
          {"platform", platform_json(report.platform)},
          {"frontends", connected_among(report.frontends)}};
}

json frontends_json(const std::vector<actors::frontend_report>& frontends) {
  auto list = json::array();
  for (const auto& frontend : frontends)
    list.push_back(frontend_json(frontend));
  return {{"frontends", std::move(list)}};
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
