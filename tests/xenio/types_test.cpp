#include "xenio/types.hpp"

#include <set>
#include <string>

#include <doctest/doctest.h>

#include "xenio/errc.hpp"

using namespace vtpm::xenio;

TEST_SUITE("xenio/types") {
  TEST_CASE("every state and error has a name of its own") {
    std::set<std::string> names;
    for (unsigned i = 0; i <= 6; ++i)
      names.insert(to_string(static_cast<xenbus_state>(i)));
    CHECK(names.size() == 7);
    for (unsigned i = 1; i <= 8; ++i)
      names.insert(to_string(static_cast<errc>(i)));
    CHECK(names.size() == 15);
    CHECK(std::string{to_string(static_cast<errc>(200))}.find("unknown") == 0);
    CHECK(std::string{to_string(static_cast<xenbus_state>(7))}.find("unknown")
          == 0);
  }

  TEST_CASE("a system error says what failed and why") {
    const auto failure = io_error("cannot dance", 2);
    CHECK(failure.code == errc::io);
    CHECK(failure.detail == "cannot dance: No such file or directory");
  }
}
