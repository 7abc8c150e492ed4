#include "deploy/vtpmd/report_json.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "deploy/ctl/tables.hpp"

using namespace vtpm;
using namespace vtpm::deploy;
using nlohmann::json;

namespace {

/// A report in which every number is another one.
actors::domain_report sample() {
  actors::domain_report report;
  report.actors = {{"tpm", {1, 2, 3, 4000}}, {"ring 3/0", {5, 6, 7, 8500}}};
  actors::frontend_report frontend;
  frontend.id = {3, 9};
  frontend.uuid = "11111111-2222-3333-4444-555555555555";
  frontend.primary = true;
  frontend.commands = 10;
  frontend.errors = 11;
  frontend.malformed = 12;
  frontend.denied = 13;
  frontend.refused = 18;
  frontend.cancels = 14;
  frontend.bytes_in = 15;
  frontend.bytes_out = 16;
  actors::frontend_report waiting;
  waiting.id = {4, 0};
  waiting.uuid = "66666666-7777-8888-9999-aaaaaaaaaaaa";
  waiting.state = actors::frontend_state::refused;
  report.frontends.present = {frontend, waiting};
  report.frontends.gone = 60;
  report.frontends.gone_counters.commands = 61;
  report.frontends.gone_counters.malformed = 62;
  report.platform = {"handle=9,on-new-domid=reset", xenio::domid{3}, true, 40};
  auto& commits = report.commits;
  commits.commits = 20;
  commits.changes = 50;
  commits.retries = 21;
  commits.failing = true;
  commits.store = {tpm_version::v2_0, tpm::uuid{0x12, 0x34}, 22, 1};
  auto& tpm = report.tpm;
  tpm.gen = 30;
  tpm.commands = 31;
  tpm.offloaded = 32;
  tpm.resets = 33;
  tpm.queued = 34;
  tpm.running = "TPM2_Create";
  tpm.shadowed = true;
  tpm.stopped = true;
  return report;
}

/// What `sample` must look like to a script: the keys are an interface.
const auto golden = json::parse(R"({
  "tpm": {
    "version": "2.0", "uuid": "12340000-0000-0000-0000-000000000000",
    "generation": 30, "commands": 31, "offloaded": 32, "resets": 33,
    "queued": 34, "running": "TPM2_Create", "shadow": "on", "stopped": true
  },
  "commits": {
    "commits": 20, "changes": 50, "commands_per_commit": 2.5, "retries": 21,
    "failing": true, "stopped": false, "latency_us": {"p50": 0.0, "p99": 0.0},
    "generation": 22, "slot": 1
  },
  "platform": {
    "primary": "handle=9,on-new-domid=reset", "domid": 3, "keep_next": true,
    "resets": 40
  },
  "actors": [
    {"name": "tpm", "mailbox": {"now": 1, "max": 2}, "handled": 3,
     "busy_us": 4.0},
    {"name": "ring 3/0", "mailbox": {"now": 5, "max": 6}, "handled": 7,
     "busy_us": 8.5}
  ],
  "frontends": [
    {"domid": 3, "handle": 9, "uuid": "11111111-2222-3333-4444-555555555555",
     "state": "connected", "primary": true,
     "commands": 10, "errors": 11, "malformed": 12, "denied": 13,
     "refused": 18, "cancels": 14, "bytes_in": 15, "bytes_out": 16,
     "latency_us": {"p50": 0.0, "p99": 0.0}},
    {"domid": 4, "handle": 0, "uuid": "66666666-7777-8888-9999-aaaaaaaaaaaa",
     "state": "refused", "primary": false,
     "commands": 0, "errors": 0, "malformed": 0, "denied": 0,
     "refused": 0, "cancels": 0, "bytes_in": 0, "bytes_out": 0,
     "latency_us": {"p50": 0.0, "p99": 0.0}}
  ],
  "gone": {
    "frontends": 60,
    "commands": 61, "errors": 0, "malformed": 62, "denied": 0,
    "refused": 0, "cancels": 0, "bytes_in": 0, "bytes_out": 0,
    "latency_us": {"p50": 0.0, "p99": 0.0}
  }
})");

} // namespace

TEST_SUITE("deploy/vtpmd/report_json") {
  TEST_CASE("stats have every counter under its documented key") {
    CHECK(stats_json(sample()) == golden);
  }

  TEST_CASE("frontends and status are parts of stats") {
    const auto report = sample();
    CHECK(
      frontends_json(report.frontends)
      == json{{"frontends", golden["frontends"]}, {"gone", golden["gone"]}});
    CHECK(status_json(report)
          == json{{"tpm", golden["tpm"]},
                  {"commits", golden["commits"]},
                  {"platform", golden["platform"]},
                  {"frontends", 1}});
  }

  TEST_CASE("lists are lists when empty") {
    const actors::domain_report empty{};
    const auto stats = stats_json(empty);
    CHECK(stats["actors"] == json::array());
    CHECK(stats["frontends"] == json::array());
    // Nothing is divided by the number of commits when there is none.
    CHECK(stats["commits"]["commands_per_commit"] == 0.0);
    CHECK(status_json(empty)["frontends"] == 0);
    CHECK(status_json(empty)["platform"]["domid"].is_null());
  }

  TEST_CASE("latencies are microseconds") {
    auto report = sample();
    for (auto i = 0; i < 99; ++i)
      report.frontends.present[0].latency.record(10'000);
    report.frontends.present[0].latency.record(10'000'000);
    const auto latency = stats_json(report)["frontends"][0]["latency_us"];
    // Upper bounds of buckets that are about 19 % wide.
    CHECK(latency["p50"].get<double>() >= 10.0);
    CHECK(latency["p50"].get<double>() <= 12.5);
    CHECK(latency["p99"].get<double>() <= 12.5);
    report.frontends.present[0].latency.record(10'000'000);
    const auto higher = stats_json(report)["frontends"][0]["latency_us"];
    CHECK(higher["p99"].get<double>() >= 10'000.0);
  }

  TEST_CASE("the largest numbers keep all their digits") {
    auto report = sample();
    report.tpm.gen = UINT64_MAX;
    CHECK(stats_json(report)["tpm"]["generation"].dump()
          == "18446744073709551615");
  }
}

TEST_SUITE("deploy/ctl/tables") {
  TEST_CASE("every value of a report is in its table") {
    const auto stats = to_tables(control_request::stats, golden);
    for (const auto* text : {"2.0", "12340000-0000-0000-0000-000000000000",
                             "30",  "31",
                             "32",  "33",
                             "34",  "TPM2_Create",
                             "yes", "no",
                             "20",  "2.5",
                             "21",  "22",
                             "tpm", "ring 3/0",
                             "8.5", "11111111-2222-3333-4444-555555555555",
                             "10",  "11",
                             "12",  "13",
                             "14",  "15",
                             "16",  "handle=9,on-new-domid=reset",
                             "40",  "refused",
                             "18",  "60",
                             "61",  "62"}) {
      CAPTURE(text);
      CHECK(stats.find(text) != std::string::npos);
    }
    auto status = json{{"tpm", golden["tpm"]}, {"frontends", 77}};
    CHECK(to_tables(control_request::status, status).find("77")
          != std::string::npos);
    CHECK(to_tables(control_request::frontends, golden).find("DENIED")
          != std::string::npos);
  }

  TEST_CASE("columns are aligned") {
    const auto table = to_tables(control_request::frontends, golden);
    const auto end = table.find('\n');
    CHECK(table.find("UUID") == table.find("11111111-") - end - 1);
    // Numbers are flush right with their heading.
    CHECK(table.find("COMMANDS") + 8 == table.find(" 10 ", end) + 3 - end - 1);
    for (std::size_t i = 1; i < table.size(); ++i)
      CHECK_FALSE((table[i] == '\n' && table[i - 1] == ' '));
  }

  TEST_CASE("a reply that lacks everything still has a table") {
    for (const auto& reply :
         {json::object(), json{{"tpm", 1}, {"frontends", {1, "x", nullptr}}},
          json{{"actors", json::object()}, {"tpm", {{"uuid", {1}}}}}})
      for (const auto request :
           {control_request::status, control_request::frontends,
            control_request::stats, control_request::reset}) {
        CAPTURE(reply.dump());
        CHECK(to_tables(request, reply).ends_with("\n"));
      }
  }

  TEST_CASE("nothing in a reply steers the terminal") {
    auto reply = golden;
    reply["frontends"][0]["uuid"] = "\x1b]0;gotcha\a\n\x7f\xc3\xa9";
    for (const auto one : to_tables(control_request::stats, reply))
      CHECK((one == '\n' || (one >= 0x20 && one <= 0x7E)));
  }
}
