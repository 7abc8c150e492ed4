#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "deploy/bench/statistics.hpp"

// What vtpm-bench prints.

namespace vtpm::deploy {

/// The figures of one case, one per round.
struct measured {
  std::string suite;
  std::string name;
  /// Of `ours`, `peer` and `limit`: "us", "commands/s", "KiB", ...
  std::string unit;
  std::vector<double> ours;
  /// swtpm's; empty where there is nothing to compare with.
  std::vector<double> peer;
  /// The physical limit's; empty where none is measured.
  std::vector<double> limit;
};

/// One line of the report.
struct row {
  std::string suite;
  std::string name;
  std::string unit;
  double ours;
  std::optional<double> peer;
  std::optional<double> limit;
  /// Ours by the peer's, round by round.
  std::optional<spread> ratio;
  /// Ours by the limit's, round by round.
  std::optional<spread> of_limit;
};

/// Takes the median over the rounds. A peer or limit with a figure that is not
/// above zero is shown and not divided by.
/// @pre Each list that is not empty has as many figures as `ours`, at least
///      one.
row summarize(const measured& figures);

/// Returns `[{"suite","case","unit","ours","peer","limit","ratio"}, ...]` with
/// null where there is no figure. The keys are an interface: add, never change.
nlohmann::json report_json(const std::vector<row>& rows);

/// Returns the rows as a table for people, one line each under a heading.
std::string report_table(const std::vector<row>& rows);

} // namespace vtpm::deploy
