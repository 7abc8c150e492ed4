#include "deploy/bench/report.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace vtpm::deploy;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t from = 0; from < text.size();) {
    const auto end = text.find('\n', from);
    lines.push_back(text.substr(from, end - from));
    from = end + 1;
  }
  return lines;
}

} // namespace

TEST_SUITE("deploy/bench/report") {
  TEST_CASE("a row has medians, and ratios of rounds") {
    const auto found = summarize(
      {"durable", "NV write", "us", {10, 30, 20}, {20, 30, 80}, {5, 10, 20}});
    CHECK(found.ours == 20);
    CHECK(found.peer.value() == 30);
    CHECK(found.limit.value() == 10);
    CHECK(found.ratio.value().median == 0.5);
    CHECK(found.ratio.value().min == 0.25);
    CHECK(found.ratio.value().max == 1);
    CHECK(found.of_limit.value().median == 2);
  }

  TEST_CASE("what was not measured is null, and so is its ratio") {
    const auto json = report_json({summarize({"a", "b", "us", {2}, {}, {}})});
    CHECK(json.dump()
          == R"([{"case":"b","limit":null,"ours":2.0,"peer":null,)"
             R"("ratio":null,"suite":"a","unit":"us"}])");
  }

  TEST_CASE("nothing is divided by a peer that used nothing") {
    for (auto nothing : {0.0, -1.0}) {
      const auto found
        = summarize({"idle", "5 s", "%", {0.1, 0.2}, {1, nothing}, {}});
      CHECK_FALSE(found.ratio);
      CHECK(found.peer);
    }
  }

  TEST_CASE("all keys of a full row have figures") {
    const auto json = report_json({summarize({"a", "b", "us", {2}, {4}, {1}})});
    REQUIRE(json.size() == 1);
    CHECK(json[0].size() == 7);
    CHECK(json[0]["ours"] == 2);
    CHECK(json[0]["peer"] == 4);
    CHECK(json[0]["limit"] == 1);
    CHECK(json[0]["ratio"] == 0.5);
  }

  TEST_CASE("the table has one line per row, all of one length") {
    const auto lines = lines_of(
      report_table({summarize({"latency", "a", "us", {2.345}, {4}, {}}),
                    summarize({"aggregate",
                               "a longer case",
                               "commands/s",
                               {123456},
                               {7},
                               {0.01234}})}));
    REQUIRE(lines.size() == 3);
    CHECK(lines[1].size() == lines[0].size());
    CHECK(lines[2].size() == lines[0].size());
    CHECK(lines[1].find("2.35") != std::string::npos);
    CHECK(lines[2].find("123456 ") != std::string::npos);
    CHECK(lines[2].find("0.012 ") != std::string::npos);
  }
}
