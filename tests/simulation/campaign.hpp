#pragma once

#include <cstdint>

#include "tests/simulation/engines.hpp"

namespace vtpm::simulation {

struct campaign_options {
  engine_kind engine = engine_kind::model;
  /// Of the first world; the others follow.
  std::uint64_t seed = 1;
  /// How many at least; 0 plays the first world alone.
  std::uint64_t cuts = 0;
  /// Worlds that are played side by side, each in a process of its own.
  unsigned jobs = 1;
};

/// Plays worlds until there were enough cuts, or until the first that breaks
/// the promise. Says what it did, how to replay what failed, and returns the
/// exit code.
int run_campaign(const campaign_options& given);

} // namespace vtpm::simulation
