#include "deploy/front/front_options.hpp"

#include <doctest/doctest.h>

#include "tests/deploy/arguments.hpp"

using namespace vtpm;
using namespace vtpm::deploy;

namespace {

using words = std::vector<std::string>;

auto parse(words given) {
  const tests::arguments line{std::move(given)};
  return parse_front_options(line.count(), line.values());
}

front_options accepted(words given) {
  auto parsed = parse(std::move(given));
  const auto* exit = std::get_if<early_exit>(&parsed);
  REQUIRE_MESSAGE(exit == nullptr, exit->err);
  return std::get<front_options>(std::move(parsed));
}

std::string refused(words given) {
  const auto parsed = parse(std::move(given));
  REQUIRE(std::holds_alternative<early_exit>(parsed));
  const auto& exit = std::get<early_exit>(parsed);
  CHECK(exit.code == exit_code::usage);
  CHECK(exit.err.starts_with("vtpm-front: "));
  CHECK(exit.err.find('\n') == std::string::npos);
  return exit.err;
}

constexpr auto get_random = "80010000000c0000017b0010";

} // namespace

TEST_SUITE("deploy/front/front_options") {
  TEST_CASE("the least command line leaves documented defaults") {
    const auto given = accepted({"--connect", "r", "--stdio"});
    CHECK(given.connect_path == "r");
    CHECK(std::holds_alternative<stdio_mode>(given.mode));
    CHECK(given.who.domain == 1);
    CHECK(given.who.handle == 0);
    CHECK(given.who.uuid == "00000000-0000-0000-0000-000000000000");
    CHECK(given.locality == 0);
    CHECK(given.limit == std::chrono::minutes{5});
  }

  TEST_CASE("every option arrives") {
    const auto given = accepted(
      {"--connect", "r", "--listen", "unix:x", "--domid", "3", "--handle", "4",
       "--uuid", "AAAAAAAA-0000-0000-0000-000000000001", "--locality", "255",
       "--limit", "7", "--log-level", "error"});
    REQUIRE(std::holds_alternative<listen_mode>(given.mode));
    CHECK(std::get<listen_mode>(given.mode).address == "unix:x");
    CHECK(given.who.domain == 3);
    CHECK(given.who.handle == 4);
    CHECK(given.who.uuid == "aaaaaaaa-0000-0000-0000-000000000001");
    CHECK(given.locality == 255);
    CHECK(given.limit == std::chrono::seconds{7});
    CHECK(given.log_level == "error");
    const auto exec = accepted({"--connect", "r", "--exec", get_random});
    REQUIRE(std::holds_alternative<exec_mode>(exec.mode));
    CHECK(to_hex(std::get<exec_mode>(exec.mode).command) == get_random);
  }

  TEST_CASE("exactly one mode is asked for") {
    const words modes[]
      = {{"--stdio"}, {"--listen", "unix:x"}, {"--exec", get_random}};
    refused({"--connect", "r"});
    for (const auto& first : modes)
      for (const auto& second : modes) {
        if (first == second)
          continue;
        words given = {"--connect", "r"};
        given.insert(given.end(), first.begin(), first.end());
        given.insert(given.end(), second.begin(), second.end());
        CHECK(refused(given).find("one of") != std::string::npos);
      }
  }

  TEST_CASE("a refusal names the option") {
    const words rows[] = {
      {"--locality", "256"}, {"--locality", "-1"}, {"--domid", "65536"},
      {"--handle", "x"},     {"--uuid", "1"},      {"--limit", "0"},
      {"--log-level", "x"},
    };
    for (const auto& row : rows) {
      CAPTURE(row.front());
      words given = {"--connect", "r", "--stdio"};
      given.insert(given.end(), row.begin(), row.end());
      CHECK(refused(given).find(row.front()) != std::string::npos);
    }
    CHECK(refused({"--stdio"}).find("--connect") != std::string::npos);
    CHECK(refused({"--stdio", "--xen", "--connect", "r"}).find("--connect")
          != std::string::npos);
    CHECK(refused({"--stdio", "--xen", "--domid", "3"}).find("--domid")
          != std::string::npos);
  }

  TEST_CASE("a Xen device is named by its handle alone") {
    const auto given = accepted({"--xen", "--handle", "2", "--stdio"});
    CHECK(given.xen);
    CHECK(given.who.handle == 2);
    CHECK_FALSE(accepted({"--connect", "r", "--stdio"}).xen);
  }

  TEST_CASE("hexadecimal may be spaced and of either case") {
    const auto command = parse_hex_command(" 80:01 00 00000C 0000017b 00:10 ");
    REQUIRE(command);
    CHECK(to_hex(*command) == get_random);
  }

  TEST_CASE("what is no command in hexadecimal is refused") {
    const std::string longest(4088 * 2, '0');
    CHECK(parse_hex_command(longest));
    for (const std::string& text :
         {std::string{}, std::string{"8"}, std::string{"zz"},
          std::string{"8 0"}, std::string{"0x8001"},
          std::string{"80010000000c000001"}, std::string{get_random} + "1",
          longest + "00"}) {
      CAPTURE(text.size());
      CHECK_FALSE(parse_hex_command(text));
    }
  }
}
