#pragma once

#include <vector>

// What is made of samples. Medians throughout: a machine that does other things
// too spoils means, and minima flatter.

namespace vtpm::deploy {

/// The middle of some figures and how far they reach.
struct spread {
  double median = 0;
  double min = 0;
  double max = 0;
};

/// Returns the middle sample, or the mean of the middle two.
/// @pre There is at least one sample.
double median(std::vector<double> samples);

/// @pre There is at least one figure.
spread spread_of(const std::vector<double>& figures);

/// Returns the spread of numerator by denominator, pair by pair: both of a pair
/// were measured in the same round, so that what slowed both cancels out.
/// @pre As many numerators as denominators, at least one; no denominator is 0.
spread ratio_of(const std::vector<double>& numerators,
                const std::vector<double>& denominators);

} // namespace vtpm::deploy
