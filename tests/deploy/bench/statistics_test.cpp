#include "deploy/bench/statistics.hpp"

#include <algorithm>

#include <doctest/doctest.h>

using namespace vtpm::deploy;

TEST_SUITE("deploy/bench/statistics") {
  TEST_CASE("the median is the middle one, or between the middle two") {
    CHECK(median({7}) == 7);
    CHECK(median({1, 2}) == 1.5);
    CHECK(median({9, 1, 5}) == 5);
    CHECK(median({1, 2, 10, 100}) == 6);
  }

  TEST_CASE("the median does not depend on the order of samples") {
    for (auto samples : {std::vector<double>{1, 2, 3, 4, 5},
                         std::vector<double>{1, 2, 2, 3, 8, 9}}) {
      const auto expected = median(samples);
      do
        CHECK(median(samples) == expected);
      while (std::next_permutation(samples.begin(), samples.end()));
    }
  }

  TEST_CASE("a spread has the middle and both ends") {
    const auto found = spread_of({3, 1, 10});
    CHECK(found.median == 3);
    CHECK(found.min == 1);
    CHECK(found.max == 10);
  }

  TEST_CASE("a ratio is taken within each round, not of the medians") {
    // The second round was twice as slow for both.
    const auto found = ratio_of({1, 4, 1}, {2, 4, 4});
    CHECK(found.median == 0.5);
    CHECK(found.min == 0.25);
    CHECK(found.max == 1);
  }
}
