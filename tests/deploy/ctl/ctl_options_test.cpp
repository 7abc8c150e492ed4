#include "deploy/ctl/ctl_options.hpp"

#include <doctest/doctest.h>

#include "tests/deploy/arguments.hpp"

using namespace vtpm;
using namespace vtpm::deploy;

namespace {

using words = std::vector<std::string>;

auto parse(words given) {
  const tests::arguments line{std::move(given)};
  return parse_ctl_options(line.count(), line.values());
}

template <class T>
T accepted(words given) {
  auto parsed = parse(std::move(given));
  const auto* exit = std::get_if<early_exit>(&parsed);
  REQUIRE_MESSAGE(exit == nullptr, exit->err);
  auto& command = std::get<ctl_command>(parsed);
  REQUIRE(std::holds_alternative<T>(command));
  return std::get<T>(std::move(command));
}

std::string refused(words given) {
  const auto parsed = parse(std::move(given));
  REQUIRE(std::holds_alternative<early_exit>(parsed));
  const auto& exit = std::get<early_exit>(parsed);
  CHECK(exit.code == exit_code::usage);
  CHECK(exit.err.starts_with("vtpmctl: "));
  CHECK(exit.err.find('\n') == std::string::npos);
  return exit.err;
}

} // namespace

TEST_SUITE("deploy/ctl/ctl_options") {
  TEST_CASE("every request has a subcommand") {
    for (const auto request :
         {control_request::status, control_request::frontends,
          control_request::stats, control_request::reset,
          control_request::keep_next, control_request::resume,
          control_request::abandon, control_request::restart,
          control_request::shutdown}) {
      CAPTURE(to_string(request));
      const auto question = accepted<ask_command>({to_string(request)});
      CHECK(question.request == request);
      CHECK_FALSE(question.json);
      REQUIRE(std::holds_alternative<socket_route>(question.route));
      CHECK(std::get<socket_route>(question.route).path
            == "/run/vtpmd/control");
    }
  }

  TEST_CASE("options may stand before and after the subcommand") {
    for (const auto& line : {words{"--control", "/c", "--json", "stats"},
                             words{"stats", "--json", "--control", "/c"}}) {
      const auto question = accepted<ask_command>(line);
      CHECK(question.json);
      CHECK(std::get<socket_route>(question.route).path == "/c");
    }
  }

  TEST_CASE("a ring is asked as the frontend that was named") {
    const auto question = accepted<ask_command>(
      {"--connect", "/r", "--domid", "9", "--handle", "2", "--uuid",
       "11111111-2222-3333-4444-555555555555", "--ring-tpm", "1.2", "stats"});
    REQUIRE(std::holds_alternative<ring_route>(question.route));
    const auto& route = std::get<ring_route>(question.route);
    const auto& ring = std::get<loopback_ring>(route.ring);
    CHECK(ring.path == "/r");
    CHECK(ring.who.domain == 9);
    CHECK(ring.who.handle == 2);
    CHECK(ring.who.uuid == "11111111-2222-3333-4444-555555555555");
    CHECK(route.version == tpm_version::v1_2);
    CHECK_FALSE(std::get<ring_route>(
                  accepted<ask_command>({"--connect", "/r", "status"}).route)
                  .version);
  }

  TEST_CASE("a vTPM domain's ring is named by domain and handle") {
    const auto question
      = accepted<ask_command>({"--ring", "5/2", "--ring-tpm", "2.0", "stats"});
    const auto& route = std::get<ring_route>(question.route);
    const auto& ring = std::get<xen_ring>(route.ring);
    CHECK(ring.domain == 5);
    CHECK(ring.handle == 2);
    CHECK(route.version == tpm_version::v2_0);
  }

  TEST_CASE("create takes what a new TPM needs") {
    const auto least
      = accepted<create_options>({"create", "--state", "s", "--tpm", "1.2"});
    CHECK(least.place.state_path == "s");
    CHECK(least.place.key_path == "s.key");
    CHECK(least.version == tpm_version::v1_2);
    CHECK_FALSE(least.id);
    CHECK_FALSE(least.factory.physical_presence);
    const auto all = accepted<create_options>(
      {"create", "--state", "s", "--tpm", "2.0", "--key", "k", "--uuid",
       "11111111-2222-3333-4444-555555555555", "--pcr-banks", "sha384"});
    CHECK(all.place.key_path == "k");
    CHECK(all.version == tpm_version::v2_0);
    REQUIRE(all.id);
    CHECK(all.factory.pcr_banks == words{"sha384"});
    CHECK(accepted<create_options>(
            {"create", "--state", "s", "--tpm", "1.2", "--physical-presence"})
            .factory.physical_presence);
  }

  TEST_CASE("a state is looked at with its key or without") {
    const auto bare = accepted<inspect_command>({"inspect", "s"});
    CHECK(bare.state_path == "s");
    CHECK_FALSE(bare.key_path);
    CHECK_FALSE(bare.json);
    const auto all
      = accepted<inspect_command>({"inspect", "--key", "k", "s", "--json"});
    CHECK(all.key_path == "k");
    CHECK(all.json);
  }

  TEST_CASE("an export's secret comes from where it is said to be") {
    const auto asked
      = accepted<export_command>({"export", "--state", "s", "--to", "e"});
    CHECK(asked.from.state_path == "s");
    CHECK(asked.from.key_path == "s.key");
    CHECK(asked.to == "e");
    CHECK(std::get<passphrase_prompt>(asked.secret).twice);
    const auto secret_of = [](words more) {
      auto line = words{"export", "--state", "s", "--to", "e"};
      line.insert(line.end(), more.begin(), more.end());
      return accepted<export_command>(line).secret;
    };
    CHECK(std::get<passphrase_file>(secret_of({"--passphrase-file", "p"})).path
          == "p");
    CHECK(std::get<passphrase_descriptor>(secret_of({"--passphrase-fd", "3"}))
            .number
          == 3);
    CHECK(std::get<export_key_file>(secret_of({"--key-file", "k"})).path
          == "k");
  }

  TEST_CASE("an import says whence, whereto and who it will be") {
    const auto plain
      = accepted<import_command>({"import", "--from", "e", "--state", "s"});
    CHECK(std::get<export_origin>(plain.from).path == "e");
    CHECK(plain.to.key_path == "s.key");
    CHECK_FALSE(plain.id);
    const auto renamed = accepted<import_command>(
      {"import", "--from", "e", "--state", "s", "--uuid", "new"});
    CHECK(renamed.id);
    const auto moved = accepted<import_command>(
      {"import", "--from-swtpm", "d", "--tpm", "1.2", "--state", "s"});
    CHECK(std::get<swtpm_origin>(moved.from).path == "d");
    CHECK(std::get<swtpm_origin>(moved.from).version == tpm_version::v1_2);
  }

  TEST_CASE("a refusal names what is wrong") {
    struct row {
      words given;
      const char* culprit;
    };
    const row rows[] = {
      {{}, "subcommand"},
      {{"bogus"}, "bogus"},
      {{"stats", "status"}, "status"},
      {{"--ring", "5/0", "shutdown"}, "shutdown"},
      {{"--connect", "r", "shutdown"}, "shutdown"},
      {{"--ring", "5/0", "resume"}, "resume"},
      {{"--ring", "5/0", "abandon"}, "abandon"},
      {{"--ring", "5/0", "restart"}, "restart"},
      {{"--ring", "5/0", "--control", "c", "stats"}, "--control"},
      {{"--ring", "5/0", "--connect", "r", "stats"}, "--connect"},
      {{"--ring", "./r", "stats"}, "--connect"},
      {{"--ring", "5", "stats"}, "DOMID/HANDLE"},
      {{"--ring", "65536/0", "stats"}, "DOMID/HANDLE"},
      {{"--ring", "5/0", "--domid", "1", "stats"}, "--domid"},
      {{"--domid", "1", "stats"}, "--domid"},
      {{"--ring-tpm", "2.0", "stats"}, "--ring-tpm"},
      {{"--ring", "5/0", "--ring-tpm", "3", "stats"}, "--ring-tpm"},
      {{"--connect", "r", "--uuid", "x", "stats"}, "--uuid"},
      {{"create"}, "required"},
      {{"create", "--state", "s"}, "--tpm"},
      {{"create", "--state", "s", "--tpm", "2"}, "--tpm"},
      {{"create", "--state", "s", "--tpm", "2.0", "--uuid", "x"}, "--uuid"},
      {{"create", "--state", "s", "--tpm", "2.0", "--pcr-banks", "x"},
       "--pcr-banks"},
      {{"create", "--state", "s", "--tpm", "1.2", "--pcr-banks", "sha1"},
       "--pcr-banks"},
      {{"create", "--state", "s", "--tpm", "2.0", "--physical-presence"},
       "--physical-presence"},
      {{"inspect"}, "state is required"},
      {{"export", "--to", "e"}, "--state"},
      {{"export", "--state", "s"}, "--to"},
      {{"export", "--state", "s", "--to", "e", "--passphrase", "x"},
       "--passphrase"},
      {{"export", "--state", "s", "--to", "e", "--key-file", "k",
        "--passphrase-fd", "3"},
       "one of"},
      {{"import", "--state", "s"}, "--from"},
      {{"import", "--state", "s", "--from", "e", "--from-swtpm", "d"},
       "--from"},
      {{"import", "--state", "s", "--from", "e", "--tpm", "2.0"}, "--tpm"},
      {{"import", "--state", "s", "--from", "e", "--uuid", "x"}, "--uuid"},
      {{"import", "--state", "s", "--from-swtpm", "d", "--key-file", "k"},
       "unencrypted"},
    };
    for (const auto& row : rows) {
      const auto said = refused(row.given);
      CAPTURE(said);
      CHECK(said.find(row.culprit) != std::string::npos);
    }
  }
}
