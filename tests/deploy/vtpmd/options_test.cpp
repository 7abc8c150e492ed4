#include "deploy/vtpmd/options.hpp"

#include <fstream>

#include <doctest/doctest.h>

#include "tests/deploy/arguments.hpp"
#include "tests/xenio/scratch_directory.hpp"

using namespace vtpm;
using namespace vtpm::deploy;

namespace {

using words = std::vector<std::string>;

auto parse(words given) {
  const tests::arguments line{std::move(given)};
  return parse_options(line.count(), line.values());
}

/// The least that vtpmd needs, and `more`.
auto parse_with(words more) {
  words given = {"--state", "s", "--listen", "l"};
  given.insert(given.end(), more.begin(), more.end());
  return parse(std::move(given));
}

options accepted(std::variant<options, early_exit> parsed) {
  const auto* exit = std::get_if<early_exit>(&parsed);
  REQUIRE_MESSAGE(exit == nullptr, exit->err);
  return std::get<options>(std::move(parsed));
}

std::string refused(std::variant<options, early_exit> parsed) {
  REQUIRE(std::holds_alternative<early_exit>(parsed));
  const auto& exit = std::get<early_exit>(parsed);
  CHECK(exit.code == exit_code::usage);
  CHECK(exit.out.empty());
  CHECK(exit.err.starts_with("vtpmd: "));
  CHECK(exit.err.ends_with(" (see vtpmd --help)"));
  CHECK(exit.err.find('\n') == std::string::npos);
  return exit.err;
}

/// A configuration file that lasts as long as the object.
struct config_file {
  explicit config_file(const std::string& text)
    : path((directory.path() / "vtpmd.conf").string()) {
    std::ofstream{path} << text;
  }

  tests::scratch_directory directory;
  std::string path;
};

} // namespace

TEST_SUITE("deploy/vtpmd/options") {
  TEST_CASE("the least command line leaves documented defaults") {
    const auto given = accepted(parse_with({}));
    CHECK(given.state_path == "s");
    CHECK(given.key_path == "s.key");
    CHECK(given.listen_path == "l");
    CHECK(given.control_path == "/run/vtpmd/control");
    CHECK_FALSE(given.version);
    CHECK_FALSE(given.create);
    CHECK_FALSE(given.id);
    CHECK(given.pcr_banks == words{"sha1", "sha256"});
    CHECK_FALSE(given.physical_presence);
    CHECK(given.localities.empty());
    CHECK(given.claims.empty());
    CHECK_FALSE(given.primary);
    CHECK_FALSE(given.exit_when_unused);
    CHECK_FALSE(given.startup);
    CHECK(given.key_pool == 4);
    CHECK(given.committer == tpm::committer_kind::automatic);
    CHECK(given.poll.count() == 0);
    CHECK_FALSE(given.accept_older);
    CHECK(given.log_level == "info");
    CHECK(given.commit_retry_limit.count() == 30);
    CHECK(given.shadow == "on");
  }

  TEST_CASE("Xen frontends need no socket") {
    const auto given = accepted(parse({"--state", "s", "--xen"}));
    CHECK(given.xen);
    CHECK(given.listen_path.empty());
    CHECK_FALSE(accepted(parse_with({})).xen);
  }

  TEST_CASE("every option arrives") {
    const auto given = accepted(parse({"--state",
                                       "/s",
                                       "--key",
                                       "/k",
                                       "--tpm",
                                       "2.0",
                                       "--create",
                                       "--uuid",
                                       "11111111-2222-3333-4444-555555555555",
                                       "--pcr-banks",
                                       "sha256,sha384",
                                       "--listen",
                                       "/l",
                                       "--control",
                                       "/c",
                                       "--locality",
                                       "domid=3:0,2",
                                       "--locality",
                                       "handle=1:8",
                                       "--claim",
                                       "uid=1,domid=3",
                                       "--claim",
                                       "uid=2",
                                       "--startup",
                                       "state",
                                       "--key-pool",
                                       "0",
                                       "--committer",
                                       "thread",
                                       "--poll-us",
                                       "50",
                                       "--accept-older",
                                       "--log-level",
                                       "debug",
                                       "--shadow",
                                       "/run/shadow",
                                       "--commit-retry-limit",
                                       "5"}));
    CHECK(given.state_path == "/s");
    CHECK(given.key_path == "/k");
    CHECK(given.version == tpm_version::v2_0);
    CHECK(given.create);
    REQUIRE(given.id);
    CHECK(tpm::to_string(*given.id) == "11111111-2222-3333-4444-555555555555");
    CHECK(given.pcr_banks == words{"sha256", "sha384"});
    CHECK(given.listen_path == "/l");
    CHECK(given.control_path == "/c");
    REQUIRE(given.localities.size() == 2);
    CHECK(given.localities[0].domain == 3);
    CHECK(given.localities[0].allowed.contains(2));
    CHECK(given.localities[1].handle == 1);
    CHECK(given.localities[1].allowed.contains(8));
    REQUIRE(given.claims.size() == 2);
    CHECK(given.claims[0].uid == 1);
    CHECK(given.claims[1].uid == 2);
    CHECK(given.startup == tpm::startup::state);
    CHECK(given.key_pool == 0);
    CHECK(given.committer == tpm::committer_kind::thread);
    CHECK(given.poll.count() == 50);
    CHECK(given.accept_older);
    CHECK(given.log_level == "debug");
    CHECK(given.commit_retry_limit.count() == 5);
    CHECK(given.shadow == "/run/shadow");
    CHECK(accepted(parse_with({"--tpm", "1.2", "--physical-presence"}))
            .physical_presence);
  }

  TEST_CASE("whose boots and whose going matter arrives") {
    const auto given = accepted(parse_with(
      {"--primary", "handle=3,on-new-domid=keep", "--exit-when-unused", "60"}));
    REQUIRE(given.primary);
    CHECK(given.primary->handle == 3);
    CHECK(given.primary->keep);
    CHECK(given.exit_when_unused == std::chrono::seconds{60});
  }

  TEST_CASE("a refusal is one line that names the option") {
    struct row {
      words given;
      const char* culprit;
    };
    const row rows[] = {
      {{}, "--state"},
      {{"--state", "s"}, "--listen"},
      {{"--state", "s"}, "--xen"},
      {{"--state", "s", "--xen", "--claim", "uid=1"}, "--claim"},
      {{"--state"}, "--state"},
    };
    for (const auto& row : rows)
      CHECK(refused(parse(row.given)).find(row.culprit) != std::string::npos);
    const row more[] = {
      {{"--tpm", "3.0"}, "--tpm"},
      {{"--create"}, "--create"},
      {{"--uuid", "11111111-2222-3333-4444-555555555555"}, "--uuid"},
      {{"--create", "--tpm", "2.0", "--uuid", "1"}, "--uuid"},
      {{"--pcr-banks", "sha1"}, "--pcr-banks"},
      {{"--create", "--tpm", "2.0", "--pcr-banks", "md5"}, "--pcr-banks"},
      {{"--create", "--tpm", "1.2", "--pcr-banks", "sha1"}, "--pcr-banks"},
      {{"--tpm", "2.0", "--physical-presence"}, "--physical-presence"},
      {{"--tpm", "2.0", "--startup", "deactivated"}, "--startup"},
      {{"--startup", "now"}, "--startup"},
      {{"--key-pool", "65"}, "--key-pool"},
      {{"--key-pool", "-1"}, "--key-pool"},
      {{"--committer", "aio"}, "--committer"},
      {{"--locality", "domid=3:5"}, "--locality"},
      {{"--primary", "domid=3"}, "--primary"},
      {{"--primary", "handle=1", "--primary", "handle=2"}, "--primary"},
      {{"--exit-when-unused", "0"}, "--exit-when-unused"},
      {{"--exit-when-unused", "604801"}, "--exit-when-unused"},
      {{"--claim", "domid=3"}, "--claim"},
      {{"--xen"}, "--xen"},
      {{"--claim", "uid=1", "uid=2"}, "uid=2"},
      {{"--poll-us", "-1"}, "--poll-us"},
      {{"--poll-us", "10001"}, "--poll-us"},
      {{"--commit-retry-limit", "86401"}, "--commit-retry-limit"},
      {{"--log-level", "trace"}, "--log-level"},
      {{"--shadow", "relative"}, "--shadow"},
      {{"--config", "/nonexistent"}, "/nonexistent"},
      {{"--bogus"}, "--bogus"},
      {{"stray"}, "stray"},
      {{"--state", "twice"}, "--state"},
    };
    for (const auto& row : more) {
      const auto said = refused(parse_with(row.given));
      CAPTURE(said);
      CHECK(said.find(row.culprit) != std::string::npos);
    }
  }

  TEST_CASE("help fits a terminal, names every option and exits well") {
    const auto parsed = parse({"--help"});
    REQUIRE(std::holds_alternative<early_exit>(parsed));
    const auto& exit = std::get<early_exit>(parsed);
    CHECK(exit.code == exit_code::success);
    CHECK(exit.err.empty());
    for (const auto* name : {"--state",
                             "--key",
                             "--tpm",
                             "--create",
                             "--uuid",
                             "--xen",
                             "--listen",
                             "--control",
                             "--locality",
                             "--claim",
                             "--primary",
                             "--exit-when-unused",
                             "--startup",
                             "--physical-presence",
                             "--pcr-banks",
                             "--key-pool",
                             "--committer",
                             "--shadow",
                             "--poll-us",
                             "--accept-older",
                             "--log-level",
                             "--commit-retry-limit",
                             "--config",
                             "--version",
                             "Example"}) {
      CAPTURE(name);
      CHECK(exit.out.find(name) != std::string::npos);
    }
    for (auto rest = std::string_view{exit.out}; !rest.empty();) {
      const auto end = rest.find('\n');
      REQUIRE(end != std::string_view::npos);
      const auto line = std::string{rest.substr(0, end)};
      CAPTURE(line);
      CHECK(line.size() <= 80);
      rest.remove_prefix(end + 1);
    }
  }

  TEST_CASE("the version is one line") {
    const auto parsed = parse({"--version"});
    REQUIRE(std::holds_alternative<early_exit>(parsed));
    CHECK(std::get<early_exit>(parsed).code == exit_code::success);
    CHECK(std::get<early_exit>(parsed).out == "vtpmd " VTPM_VERSION "\n");
  }

  TEST_CASE("a configuration file says the same, the command line wins") {
    const config_file file{"# a comment\n"
                           "state = \"/from/file\"\n"
                           "listen = /l\n"
                           "locality = \"domid=3,handle=0:0,2\"\n"
                           "claim = [\"uid=1,domid=3\", \"uid=2\"]\n"
                           "poll-us = 7\n"
                           "# the same name again adds to the first\n"
                           "locality = \"domid=4:8\"\n"};
    const auto given
      = accepted(parse({"--config", file.path, "--state", "/from/line"}));
    CHECK(given.state_path == "/from/line");
    CHECK(given.key_path == "/from/line.key");
    CHECK(given.listen_path == "/l");
    CHECK(given.poll.count() == 7);
    REQUIRE(given.localities.size() == 2);
    CHECK(given.localities[0].domain == 3);
    CHECK(given.localities[0].allowed.contains(2));
    CHECK(given.localities[1].domain == 4);
    REQUIRE(given.claims.size() == 2);
    CHECK(given.claims[0].domain == 3);
    CHECK(given.claims[1].uid == 2);
  }

  TEST_CASE("a configuration file cannot say what makes no sense there") {
    struct row {
      const char* text;
      const char* culprit;
    };
    const row rows[] = {
      {"bogus = 1\n", "bogus"},
      {"poll-us = 1\npoll-us = 2\n", "--poll-us"},
      {"poll-us = many\n", "--poll-us"},
      // Split at the commas, because it is not quoted.
      {"claim = uid=1,domid=3\n", "quote"},
      {"locality = domid=3,handle=0:0\n", "quote"},
      {"create = true\n", "create"},
      {"accept-older = true\n", "accept-older"},
    };
    for (const auto& row : rows) {
      CAPTURE(row.text);
      const config_file file{row.text};
      CHECK(refused(parse_with({"--config", file.path})).find(row.culprit)
            != std::string::npos);
    }
  }

  TEST_CASE("what is sent after TPM_Init depends on the version") {
    options given;
    CHECK(*startup_for(given, tpm_version::v1_2) == tpm::startup::none);
    CHECK(*startup_for(given, tpm_version::v2_0) == tpm::startup::clear);
    for (const auto wanted :
         {tpm::startup::none, tpm::startup::clear, tpm::startup::state}) {
      given.startup = wanted;
      CHECK(*startup_for(given, tpm_version::v1_2) == wanted);
      CHECK(*startup_for(given, tpm_version::v2_0) == wanted);
    }
    given.startup = tpm::startup::deactivated;
    CHECK(startup_for(given, tpm_version::v1_2));
    CHECK_FALSE(startup_for(given, tpm_version::v2_0));
  }
}
