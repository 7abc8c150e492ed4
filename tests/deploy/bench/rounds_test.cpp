#include "deploy/bench/rounds.hpp"

#include <algorithm>
#include <set>

#include <doctest/doctest.h>

using namespace vtpm::deploy;

TEST_SUITE("deploy/bench/rounds") {
  TEST_CASE("each round has every contestant once and begins with another") {
    for (std::size_t count = 1; count <= 5; ++count) {
      std::set<std::size_t> firsts;
      for (std::size_t round = 0; round < count; ++round) {
        auto order = order_in_round(round, count);
        firsts.insert(order.front());
        std::sort(order.begin(), order.end());
        for (std::size_t i = 0; i < count; ++i)
          CHECK(order.at(i) == i);
        CHECK(order.size() == count);
      }
      CHECK(firsts.size() == count);
    }
  }

  TEST_CASE("figures go to whom they belong, round by round") {
    std::vector<int> calls;
    const auto contestant = [&](int who) {
      return measurement{[&calls, who, round = 0]() mutable -> result<double> {
        calls.push_back(who);
        return 10.0 * who + round++;
      }};
    };
    const auto found
      = measure_in_turn(3, {contestant(1), contestant(2), contestant(3)});
    REQUIRE(found);
    CHECK((*found)[0] == std::vector<double>{10, 11, 12});
    CHECK((*found)[1] == std::vector<double>{20, 21, 22});
    CHECK((*found)[2] == std::vector<double>{30, 31, 32});
    CHECK(calls == std::vector<int>{1, 2, 3, 2, 3, 1, 3, 1, 2});
  }

  TEST_CASE("the first failure ends it") {
    auto calls = 0;
    const auto found
      = measure_in_turn(4,
                        {[&]() -> result<double> { return ++calls; },
                         [&]() -> result<double> {
                           ++calls;
                           return problem{"broken"};
                         }});
    REQUIRE_FALSE(found);
    CHECK(found.error().text == "broken");
    CHECK(calls == 2);
  }
}
