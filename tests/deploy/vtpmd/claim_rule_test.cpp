#include "deploy/vtpmd/claim_rule.hpp"

#include <doctest/doctest.h>

using namespace vtpm::deploy;

namespace {

constexpr auto full
  = "uid=1000,domid=3,handle=7,uuid=11111111-2222-3333-4444-5555555555AB";

} // namespace

TEST_SUITE("deploy/vtpmd/claim_rule") {
  TEST_CASE("every field is read") {
    const auto rule = parse_claim_rule(full);
    REQUIRE(rule);
    CHECK(rule->uid == 1000);
    CHECK(rule->domain == 3);
    CHECK(rule->handle == 7);
    // In the form that the backend's nodes use.
    CHECK(rule->uuid == "11111111-2222-3333-4444-5555555555ab");
  }

  TEST_CASE("what is a star or left out matches any") {
    for (const auto* text :
         {"uid=0", "domid=*,uid=0", "handle=*,uuid=*,domid=*,uid=0"}) {
      CAPTURE(text);
      const auto rule = parse_claim_rule(text);
      REQUIRE(rule);
      CHECK(rule->uid == 0);
      CHECK_FALSE(rule->domain);
      CHECK_FALSE(rule->handle);
      CHECK_FALSE(rule->uuid);
    }
  }

  TEST_CASE("a refusal names the field and shows the form") {
    struct row {
      const char* text;
      const char* culprit;
    };
    const row rows[] = {
      {"", "has no value"},
      {"domid=1", "uid is missing"},
      {"uid=*", "\"uid=*\""},
      {"uid=-1", "\"uid=-1\""},
      {"uid=4294967295", "\"uid=4294967295\""},
      {"uid=4294967296", "\"uid=4294967296\""},
      {"uid=root", "\"uid=root\""},
      {"uid=0,uid=1", "uid is given twice"},
      {"uid=0,domid=65536", "\"domid=65536\""},
      {"uid=0,handle=x", "\"handle=x\""},
      {"uid=0,uuid=1234", "\"uuid=1234\""},
      {"uid=0,", "has no value"},
      {"uid=0,gid=0", "\"gid=0\""},
      {"uid=0 ,domid=1", "\"uid=0 \""},
    };
    for (const auto& row : rows) {
      CAPTURE(row.text);
      const auto rule = parse_claim_rule(row.text);
      REQUIRE_FALSE(rule);
      CHECK(rule.error().text.find(row.culprit) != std::string::npos);
      CHECK(rule.error().text.find("uid=NUMBER") != std::string::npos);
    }
  }

  TEST_CASE("no prefix widens a rule silently") {
    const std::string text{full};
    for (std::size_t length = 0; length < text.size(); ++length) {
      CAPTURE(length);
      const auto rule = parse_claim_rule(text.substr(0, length));
      if (!rule)
        continue;
      // Where a prefix is a rule, it ends where a field ends.
      const auto next = text[length];
      const auto in_number = next >= '0' && next <= '9';
      CHECK((next == ',' || in_number));
    }
  }
}
