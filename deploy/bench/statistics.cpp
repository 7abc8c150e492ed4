#include "deploy/bench/statistics.hpp"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <functional>
#include <iterator>

namespace vtpm::deploy {

double median(std::vector<double> samples) {
  assert(!samples.empty());
  const auto middle
    = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::nth_element(samples.begin(), middle, samples.end());
  if (samples.size() % 2 != 0)
    return *middle;
  return (*std::max_element(samples.begin(), middle) + *middle) / 2;
}

spread spread_of(const std::vector<double>& figures) {
  assert(!figures.empty());
  const auto [low, high] = std::minmax_element(figures.begin(), figures.end());
  return {median(figures), *low, *high};
}

spread ratio_of(const std::vector<double>& numerators,
                const std::vector<double>& denominators) {
  assert(numerators.size() == denominators.size());
  std::vector<double> ratios;
  std::transform(numerators.begin(), numerators.end(), denominators.begin(),
                 std::back_inserter(ratios), std::divides<>{});
  return spread_of(ratios);
}

} // namespace vtpm::deploy
