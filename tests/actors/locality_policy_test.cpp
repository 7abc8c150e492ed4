// Goal: a frontend gets no locality that no rule gives it, and a rule with a
// slip of the pen is refused, with a sentence that names the slip.

#include "actors/locality_policy.hpp"

#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

using namespace vtpm::actors;

namespace {

const std::string some_uuid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

locality_rule rule(std::string_view text) {
  std::string problem;
  const auto result = locality_rule::parse(text, problem);
  REQUIRE_MESSAGE(result, problem);
  CHECK(problem.empty());
  return *result;
}

std::string problem_of(std::string_view text) {
  std::string problem;
  CHECK_FALSE(locality_rule::parse(text, problem));
  return problem;
}

std::vector<int> members(const locality_set& set) {
  std::vector<int> result;
  for (auto i = 0; i < 256; ++i)
    if (set.contains(static_cast<std::uint8_t>(i)))
      result.push_back(i);
  return result;
}

} // namespace

TEST_SUITE("actors/locality_policy") {
  TEST_CASE("a rule names its fields and localities") {
    const auto full = rule("domid=3,handle=7,uuid=" + some_uuid + ":0,2,8");
    CHECK(full.domain == 3);
    CHECK(full.handle == 7u);
    CHECK(full.uuid == some_uuid);
    CHECK(members(full.allowed) == std::vector{0, 2, 8});
  }

  TEST_CASE("fields come in any order, and any may be left out or a star") {
    const auto text = "uuid=" + some_uuid + ",domid=65535:1";
    CHECK(rule(text).domain == 65535);
    CHECK_FALSE(rule(text).handle);
    CHECK(rule(text).uuid == some_uuid);
    CHECK_FALSE(rule("domid=*:0").domain);
    CHECK_FALSE(rule("handle=*,domid=*,uuid=*:0").uuid);
    CHECK(rule("handle=4294967295:4").handle == 4294967295u);
    CHECK(members(rule("domid=0:4,3,2,1,0").allowed)
          == std::vector{0, 1, 2, 3, 4});
  }

  TEST_CASE("a UUID may be written in capitals") {
    CHECK(rule("uuid=0F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0:0").uuid
          == some_uuid);
  }

  TEST_CASE("every malformed shape has its own sentence") {
    const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "\"\" has no colon before its localities"},
      {"domid=3", "\"domid=3\" has no colon before its localities"},
      {":0", "\"\" is not domid=, handle= or uuid="},
      {"domid:0", "\"domid\" is not domid=, handle= or uuid="},
      {"=3:0", "\"=3\" is not domid=, handle= or uuid="},
      {"domain=3:0", "\"domain=3\" is not domid=, handle= or uuid="},
      {"Domid=3:0", "\"Domid=3\" is not domid=, handle= or uuid="},
      {" domid=3:0", "\" domid=3\" is not domid=, handle= or uuid="},
      {"domid=3,:0", "\"\" is not domid=, handle= or uuid="},
      {",domid=3:0", "\"\" is not domid=, handle= or uuid="},
      {"domid=3,,handle=1:0", "\"\" is not domid=, handle= or uuid="},
      {"domid=3,domid=3:0", "domid is given twice"},
      {"domid=*,domid=3:0", "domid is given twice"},
      {"handle=1,handle=*:0", "handle is given twice"},
      {"uuid=*,uuid=*:0", "uuid is given twice"},
      {"domid=:0", "domid \"\" is not a number of 0..65535 or *"},
      {"domid=-1:0", "domid \"-1\" is not a number of 0..65535 or *"},
      {"domid=+1:0", "domid \"+1\" is not a number of 0..65535 or *"},
      {"domid=0x3:0", "domid \"0x3\" is not a number of 0..65535 or *"},
      {"domid=3 :0", "domid \"3 \" is not a number of 0..65535 or *"},
      {"domid=65536:0", "domid \"65536\" is not a number of 0..65535 or *"},
      {"domid=3=4:0", "domid \"3=4\" is not a number of 0..65535 or *"},
      {"domid=**:0", "domid \"**\" is not a number of 0..65535 or *"},
      {"handle=4294967296:0",
       "handle \"4294967296\" is not a number of 0..4294967295 or *"},
      {"handle=one:0", "handle \"one\" is not a number of 0..4294967295 or *"},
      {"uuid=:0", "uuid \"\" is not 8-4-4-4-12 hexadecimal digits or *"},
      {"label=*:0", "label= cannot be matched: no label from this hypervisor"},
      {"domid=3,label=system_u:system_r:domU_t:0",
       "label= cannot be matched: no label from this hypervisor"},
      {"domid=3:", "locality \"\" is not one of 0..4, 8"},
      {"domid=3:0,", "locality \"\" is not one of 0..4, 8"},
      {"domid=3:,0", "locality \"\" is not one of 0..4, 8"},
      {"domid=3:5", "locality 5 is not one of 0..4, 8"},
      {"domid=3:0,7", "locality 7 is not one of 0..4, 8"},
      {"domid=3:9", "locality 9 is not one of 0..4, 8"},
      {"domid=3:255", "locality 255 is not one of 0..4, 8"},
      {"domid=3:256", "locality \"256\" is not one of 0..4, 8"},
      {"domid=3:-1", "locality \"-1\" is not one of 0..4, 8"},
      {"domid=3:*", "locality \"*\" is not one of 0..4, 8"},
      {"domid=3:0-2", "locality \"0-2\" is not one of 0..4, 8"},
      {"domid=3: 0", "locality \" 0\" is not one of 0..4, 8"},
      {"domid=3:0:1", "locality \"0:1\" is not one of 0..4, 8"},
      {"domid=3:2,0,2", "locality 2 is given twice"},
    };
    for (const auto& wrong : cases) {
      CAPTURE(wrong.first);
      CHECK(problem_of(wrong.first) == wrong.second);
    }
  }

  TEST_CASE("a UUID with any character wrong is refused") {
    for (std::size_t i = 0; i <= some_uuid.size(); ++i) {
      CAPTURE(i);
      CHECK(!problem_of("uuid=" + some_uuid.substr(0, i) + "x"
                        + some_uuid.substr(i) + ":0")
               .empty());
      if (i == some_uuid.size())
        break;
      for (const auto wrong : {'g', ' ', '-', '*', '\0'}) {
        auto text = some_uuid;
        if (text[i] == wrong)
          continue;
        text[i] = wrong;
        CHECK(!problem_of("uuid=" + text + ":0").empty());
      }
      auto dashed = some_uuid;
      dashed[i] = dashed[i] == '-' ? 'a' : '-';
      CHECK(!problem_of("uuid=" + dashed + ":0").empty());
      CHECK(!problem_of("uuid=" + some_uuid.substr(0, i) + ":0").empty());
    }
  }

  TEST_CASE("a problem is one printable line of bounded length") {
    for (auto c = 0; c < 256; ++c) {
      const auto text = "domid=-" + std::string(300, static_cast<char>(c));
      const auto problem = problem_of(text + ":0");
      CHECK(problem.size() < 120);
      for (const auto x : problem) {
        CHECK(x >= ' ');
        CHECK(x <= '~');
      }
    }
  }

  TEST_CASE("without a rule a frontend gets locality 0") {
    CHECK(members(allowed_localities({}, {1, 0, some_uuid})) == std::vector{0});
  }

  TEST_CASE("a rule must match in every field it has") {
    const auto rules
      = std::vector{rule("domid=3,handle=1,uuid=" + some_uuid + ":2")};
    auto other_uuid = some_uuid;
    other_uuid.back() = 'f';
    const auto get = [&](frontend_identity who) {
      return members(allowed_localities(rules, who));
    };
    CHECK(get({3, 1, some_uuid}) == std::vector{0, 2});
    CHECK(get({4, 1, some_uuid}) == std::vector{0});
    CHECK(get({3, 0, some_uuid}) == std::vector{0});
    CHECK(get({3, 1, other_uuid}) == std::vector{0});
    CHECK(get({3, 1, ""}) == std::vector{0});
  }

  TEST_CASE("a star matches everyone, a number only its own") {
    CHECK(members(allowed_localities({rule("domid=*:1")}, {9, 9, ""}))
          == std::vector{0, 1});
    CHECK(members(allowed_localities({rule("domid=0:1")}, {0, 9, ""}))
          == std::vector{0, 1});
    CHECK(members(allowed_localities({rule("domid=0:1")}, {1, 9, ""}))
          == std::vector{0});
  }

  TEST_CASE("matching rules add up") {
    const std::vector rules = {rule("domid=3:2"), rule("handle=0:8,3"),
                               rule("domid=4:1"), rule("uuid=*:4")};
    CHECK(members(allowed_localities(rules, {3, 0, some_uuid}))
          == std::vector{0, 2, 3, 4, 8});
  }

  TEST_CASE("a set holds what was put in, and nothing above fifteen") {
    locality_set set;
    CHECK(members(set).empty());
    set.insert(std::uint8_t{16});
    set.insert(std::uint8_t{255});
    CHECK(members(set).empty());
    set.insert(std::uint8_t{15});
    CHECK(members(set) == std::vector{15});
  }
}
