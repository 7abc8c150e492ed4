#include "deploy/bench/bench_options.hpp"

#include <doctest/doctest.h>

#include "tests/deploy/arguments.hpp"

using namespace vtpm::deploy;
using vtpm::tests::arguments;

namespace {

const std::vector<std::string> names = {"latency", "cold", "durable"};

std::variant<bench_options, early_exit> parsed(std::vector<std::string> words) {
  const arguments given{std::move(words)};
  return parse_bench_options(given.count(), given.values(), names);
}

bench_options accepted(std::vector<std::string> words) {
  auto result = parsed(std::move(words));
  REQUIRE(std::holds_alternative<bench_options>(result));
  return std::get<bench_options>(std::move(result));
}

int refused(std::vector<std::string> words) {
  const auto result = parsed(std::move(words));
  const auto* exit = std::get_if<early_exit>(&result);
  REQUIRE(exit != nullptr);
  return exit->code;
}

} // namespace

TEST_SUITE("deploy/bench/bench_options") {
  TEST_CASE("without options everything is measured, in five rounds") {
    const auto given = accepted({});
    CHECK(given.suites == names);
    CHECK(given.rounds == 5);
    CHECK_FALSE(given.quick);
    CHECK(given.pin == pinning::none);
    CHECK(given.swtpm_path == "swtpm");
    CHECK(given.vtpmd_path.ends_with("/vtpmd"));
    CHECK_FALSE(given.state_directory.empty());
    CHECK(given.json_path.empty());
  }

  TEST_CASE("suites are measured in their own order, each once") {
    CHECK(accepted(
            {"--suite", "durable", "--suite", "latency", "--suite", "durable"})
            .suites
          == std::vector<std::string>{"latency", "durable"});
  }

  TEST_CASE("the rest is taken as given") {
    const auto given = accepted(
      {"--quick", "--rounds=7", "--pin=split", "--state-dir=/", "--json=-",
       "--vtpmd-arg=--poll-us=50", "--vtpmd-arg=--committer=thread"});
    CHECK(given.quick);
    CHECK(given.rounds == 7);
    CHECK(given.pin == pinning::split);
    CHECK(given.state_directory == "/");
    CHECK(given.json_path == "-");
    CHECK(given.vtpmd_arguments
          == std::vector<std::string>{"--poll-us=50", "--committer=thread"});
    CHECK(accepted({"--pin=same"}).pin == pinning::same);
  }

  TEST_CASE("what makes no sense is refused") {
    CHECK(refused({"--suite", "speed"}) == exit_code::usage);
    CHECK(refused({"--rounds", "0"}) == exit_code::usage);
    CHECK(refused({"--rounds", "101"}) == exit_code::usage);
    CHECK(refused({"--pin", "here"}) == exit_code::usage);
    CHECK(refused({"--state-dir", "/nowhere"}) == exit_code::usage);
    CHECK(refused({"--vtpmd", "/nowhere"}) == exit_code::usage);
    CHECK(refused({"latency"}) == exit_code::usage);
  }

  TEST_CASE("help is no error") {
    CHECK(refused({"--help"}) == exit_code::success);
    CHECK(refused({"--version"}) == exit_code::success);
  }
}
