// Goal: a quantile is what its contract says, for any samples.
// Method: the same samples in a sorted vector.

#include "actors/histogram.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <doctest/doctest.h>

using namespace vtpm::actors;

namespace {

constexpr std::uint64_t first_bound = 304;
constexpr std::uint64_t last_bound = std::uint64_t{256} << 32;
constexpr auto quantiles = {0.0, 0.001, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0};

/// Returns the sample of rank `ceil(q * count)`, counted from 1.
std::uint64_t exact(const std::vector<std::uint64_t>& sorted, double q) {
  const auto rank = std::ceil(q * static_cast<double>(sorted.size()));
  return sorted[rank < 1 ? 0 : static_cast<std::size_t>(rank) - 1];
}

void check_against(std::vector<std::uint64_t> samples) {
  histogram h;
  for (const auto sample : samples)
    h.record(sample);
  std::sort(samples.begin(), samples.end());
  CHECK(h.count() == samples.size());
  for (const auto q : quantiles) {
    const auto sample = exact(samples, q);
    const auto answer = h.quantile(q);
    CAPTURE(q);
    CAPTURE(sample);
    if (sample <= first_bound)
      REQUIRE(answer == first_bound);
    else if (sample > last_bound)
      REQUIRE(answer == last_bound);
    else {
      REQUIRE(answer >= sample);
      REQUIRE(static_cast<double>(answer) < static_cast<double>(sample) * 1.19);
    }
  }
}

} // namespace

TEST_SUITE("actors/histogram") {
  TEST_CASE("an empty histogram answers zero") {
    const histogram h;
    CHECK(h.count() == 0);
    for (const auto q : quantiles)
      CHECK(h.quantile(q) == 0);
  }

  TEST_CASE("one sample is every quantile") {
    for (const std::uint64_t sample : {0ull, 1ull, 304ull, 305ull, 5'000ull,
                                       1'000'000ull, 3'600'000'000'000ull})
      check_against({sample});
  }

  TEST_CASE("every bound belongs to its own bucket, the next value not") {
    // Bound `i` is 256 * 2^((i + 1) / 4), and a histogram of one sample tells
    // that sample's bound.
    std::uint64_t previous = 0;
    for (auto i = 0u; i < histogram::bucket_count; ++i) {
      CAPTURE(i);
      const auto bound = static_cast<std::uint64_t>(
        256.0 * std::pow(2.0, static_cast<double>(i + 1) / 4));
      histogram at;
      at.record(bound);
      CHECK(at.quantile(1) == bound);
      histogram above_previous;
      above_previous.record(previous + 1);
      CHECK(above_previous.quantile(1) == bound);
      previous = bound;
    }
    CHECK(previous == last_bound);
  }

  TEST_CASE("every small value is in order") {
    std::vector<std::uint64_t> samples;
    for (std::uint64_t x = 0; x < 5'000; ++x)
      samples.push_back(x);
    check_against(samples);
  }

  TEST_CASE("what is too long counts in the last bucket") {
    histogram h;
    h.record(std::numeric_limits<std::uint64_t>::max());
    h.record(last_bound + 1);
    h.record(last_bound);
    CHECK(h.count() == 3);
    CHECK(h.quantile(0) == last_bound);
    CHECK(h.quantile(1) == last_bound);
  }

  TEST_CASE("random samples of every spread agree with the sorted vector") {
    std::mt19937_64 rng{1};
    for (auto round = 0; round < 200; ++round) {
      CAPTURE(round);
      const auto top = std::uint64_t{1} << (1 + rng() % 42);
      std::vector<std::uint64_t> samples(1 + rng() % 2000);
      for (auto& sample : samples)
        sample = (rng() % top) >> (rng() % 20);
      check_against(std::move(samples));
    }
  }

  TEST_CASE("a copy counts on its own") {
    histogram one;
    one.record(1000);
    auto other = one;
    other.record(1'000'000);
    CHECK(one.count() == 1);
    CHECK(other.count() == 2);
    CHECK(one.quantile(1) < other.quantile(1));
  }
}
