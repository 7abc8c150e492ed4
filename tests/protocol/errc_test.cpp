#include "protocol/errc.hpp"

#include <set>
#include <string>

#include <doctest/doctest.h>

using namespace vtpm::protocol;

TEST_SUITE("protocol/errc") {
  TEST_CASE("every value has a name of its own") {
    std::set<std::string> names;
    for (auto code : {errc::truncated, errc::oversized, errc::size_mismatch,
                      errc::bad_tag, errc::other_version_tag, errc::malformed})
      names.insert(to_string(code));
    CHECK(names.size() == 6);
    CHECK(names.count("unknown") == 0);
    CHECK(names.count("other_version_tag") == 1);
  }
}
