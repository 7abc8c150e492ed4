// Goal: the TPM is reset when its guest has booted, and never otherwise.

#include "actors/platform.hpp"

#include <doctest/doctest.h>

using namespace vtpm::actors;
using vtpm::tpm::startup;

namespace {

const std::string own = "11111111-2222-3333-4444-555555555555";
const std::string nil = "00000000-0000-0000-0000-000000000000";
const std::string other = "66666666-7777-8888-9999-aaaaaaaaaaaa";

primary_rule rule(std::string_view text) {
  std::string problem;
  auto read = primary_rule::parse(text, problem);
  REQUIRE_MESSAGE(read, problem);
  return *read;
}

/// A platform whose primary was connected last as domain 5.
platform known(std::optional<primary_rule> with = std::nullopt) {
  return {std::move(with), {{own}, 5, false}};
}

} // namespace

TEST_SUITE("actors/platform") {
  TEST_CASE("the only uuid there ever was is the primary's") {
    platform guest;
    CHECK(guest.describe().empty());
    CHECK(guest.judge({5, 0, own}) == arrival::first);
    CHECK(guest.admit({5, 0, own}));
    CHECK(guest.describe() == "uuid=" + own);
    CHECK(guest.judge({5, 0, own}) == arrival::again);
    CHECK_FALSE(guest.admit({5, 0, own}));
    CHECK(guest.judge({6, 0, own}) == arrival::rebooted);
    // Handles may change, the identity does not.
    CHECK(guest.judge({5, 3, own}) == arrival::again);
  }

  TEST_CASE("with a second uuid there is no primary, without a rule") {
    auto guest = known();
    CHECK(guest.judge({6, 0, other}) == arrival::peer);
    CHECK(guest.is_primary({5, 0, own}));
    CHECK(guest.admit({6, 0, other}));
    CHECK(guest.memory().primary_domain == 5);
    for (auto domain : std::vector<vtpm::xenio::domid>{5, 6, 7}) {
      CHECK(guest.judge({domain, 0, own}) == arrival::peer);
      CHECK(guest.judge({domain, 0, other}) == arrival::peer);
    }
    CHECK(guest.describe().empty());
  }

  TEST_CASE("the memory of uuids is bounded") {
    auto guest = known();
    for (auto number = 10; number < 99; ++number)
      guest.admit({1, 0,
                   std::to_string(number)
                     + "000000-0000-0000-0000-"
                       "000000000000"});
    CHECK(guest.memory().uuids.size() == platform_memory::uuids_max);
  }

  TEST_CASE("a frontend without uuid is a peer and makes nobody one") {
    auto guest = known();
    CHECK(guest.judge({6, 0, ""}) == arrival::peer);
    CHECK_FALSE(guest.admit({6, 0, ""}));
    CHECK(guest.judge({7, 0, own}) == arrival::rebooted);
    platform fresh;
    CHECK(fresh.judge({6, 0, ""}) == arrival::peer);
    CHECK(fresh.judge({6, 0, nil}) == arrival::peer);
    CHECK_FALSE(fresh.admit({6, 0, nil}));
  }

  TEST_CASE("a rule names the primary whatever uuids there were") {
    auto guest = known(rule("uuid=" + other));
    CHECK(guest.judge({5, 0, own}) == arrival::peer);
    CHECK(guest.judge({7, 0, other}) == arrival::rebooted);
    platform by_handle{rule("handle=2"), {{own, other}, 5, false}};
    CHECK(by_handle.judge({6, 2, own}) == arrival::rebooted);
    CHECK(by_handle.judge({6, 2, ""}) == arrival::rebooted);
    CHECK(by_handle.judge({6, 1, own}) == arrival::peer);
    platform by_both{rule("handle=2,uuid=" + own), {{own}, 5, false}};
    CHECK(by_both.judge({6, 2, own}) == arrival::rebooted);
    CHECK(by_both.judge({6, 1, own}) == arrival::peer);
    CHECK(by_both.judge({6, 2, other}) == arrival::peer);
  }

  TEST_CASE("after the reset the new domid is the known one") {
    auto guest = known();
    REQUIRE(guest.judge({6, 0, own}) == arrival::rebooted);
    CHECK(guest.admit({6, 0, own}));
    CHECK(guest.judge({6, 0, own}) == arrival::again);
    CHECK(guest.judge({5, 0, own}) == arrival::rebooted);
  }

  TEST_CASE("a rule may keep the TPM over every new domid") {
    auto guest = known(rule("uuid=" + own + ",on-new-domid=keep"));
    for (auto domain : std::vector<vtpm::xenio::domid>{6, 7}) {
      CHECK(guest.judge({domain, 0, own}) == arrival::kept);
      CHECK(guest.admit({domain, 0, own}));
    }
  }

  TEST_CASE("an announced new domid is kept, once") {
    auto guest = known();
    CHECK(guest.keep_next());
    CHECK_FALSE(guest.keep_next());
    // Neither the same domid nor a peer uses it up.
    guest.admit({5, 0, own});
    CHECK(guest.memory().keep_next);
    guest.admit({9, 0, ""});
    CHECK(guest.memory().keep_next);
    CHECK(guest.judge({6, 0, own}) == arrival::kept);
    CHECK(guest.admit({6, 0, own}));
    CHECK_FALSE(guest.memory().keep_next);
    CHECK(guest.judge({7, 0, own}) == arrival::rebooted);
  }

  TEST_CASE("the first coming of the primary uses an announcement up") {
    platform guest;
    guest.keep_next();
    CHECK(guest.judge({5, 0, own}) == arrival::first);
    guest.admit({5, 0, own});
    CHECK_FALSE(guest.memory().keep_next);
  }

  TEST_CASE("what is not a rule is refused with a reason") {
    for (auto text :
         {"", "uuid", "uuid=", "uuid=x", "uuid=*", "handle=", "handle=-1",
          "handle=4294967296", "on-new-domid=reset", "on-new-domid=keep",
          "handle=1,", ",handle=1", "handle=1,handle=1", "domid=3",
          "handle=1,on-new-domid=", "handle=1,on-new-domid=maybe", "handle 1",
          "uuid=00000000-0000-0000-0000-000000000000"}) {
      CAPTURE(text);
      std::string problem;
      CHECK_FALSE(primary_rule::parse(text, problem));
      CHECK_FALSE(problem.empty());
      CHECK(problem.find('\n') == problem.npos);
    }
  }

  TEST_CASE("a rule is described as it is written") {
    for (std::string text : {"uuid=" + own + ",handle=3,on-new-domid=keep",
                             std::string{"handle=0,on-new-domid=reset"}})
      CHECK(platform{rule(text), {}}.describe() == text);
    CHECK(rule("handle=0").keep == false);
    CHECK(rule("uuid=AAAAAAAA-7777-8888-9999-AAAAAAAAAAAA").uuid
          == "aaaaaaaa-7777-8888-9999-aaaaaaaaaaaa");
  }

  TEST_CASE("uuids are compared in lower case") {
    CHECK(canonical_uuid("AAAAAAAA-7777-8888-9999-AAAAAAAAAAAA")
          == "aaaaaaaa-7777-8888-9999-aaaaaaaaaaaa");
    CHECK(canonical_uuid(nil) == nil);
    for (auto text : {"", "x", "aaaaaaaa-7777-8888-9999-aaaaaaaaaaaa\n"})
      CHECK(canonical_uuid(text).empty());
  }

  TEST_CASE("a boot never takes up what was saved before it") {
    CHECK(startup_at_boot(startup::state) == startup::clear);
    CHECK(startup_at_boot(startup::clear) == startup::clear);
    CHECK(startup_at_boot(startup::none) == startup::none);
    CHECK(startup_at_boot(startup::deactivated) == startup::deactivated);
  }
}
