#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "deploy/result.hpp"

namespace vtpm::deploy {

/// Measures one contestant once and returns its figure.
using measurement = std::function<result<double>()>;

/// Returns the order in which `count` contestants are measured in a round: each
/// round begins with another, so that none always follows the same neighbour's
/// wake-ups, writes and caches from the same place.
std::vector<std::size_t> order_in_round(std::size_t round, std::size_t count);

/// Measures all contestants in turn, `rounds` times over. Returns each one's
/// figures, one per round, or the first failure.
result<std::vector<std::vector<double>>> measure_in_turn(
  std::size_t rounds, const std::vector<measurement>& contestants);

} // namespace vtpm::deploy
