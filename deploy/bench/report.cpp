#include "deploy/bench/report.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <cmath>
#include <iterator>

#include <nlohmann/json.hpp>

namespace vtpm::deploy {

namespace {

constexpr std::size_t column_count = 8;

using line = std::array<std::string, column_count>;

/// The first columns hold words, the others figures.
constexpr std::size_t word_columns = 2;

std::optional<double> middle(const std::vector<double>& figures) {
  if (figures.empty())
    return std::nullopt;
  return median(figures);
}

std::optional<spread> relation(const std::vector<double>& ours,
                               const std::vector<double>& other) {
  const auto is_usable = std::all_of(other.begin(), other.end(),
                                     [](double figure) { return figure > 0; });
  if (other.empty() || !is_usable)
    return std::nullopt;
  return ratio_of(ours, other);
}

/// Three significant digits, and no fraction from 100 on.
std::string figure(double value) {
  const auto size = std::fabs(value);
  const auto digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  std::array<char, 48> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value,
                                 std::chars_format::fixed, digits);
  return {text.data(), end.ptr};
}

std::string figure(const std::optional<double>& value) {
  return value ? figure(*value) : "-";
}

std::string figure(const std::optional<spread>& value) {
  if (!value)
    return "-";
  return figure(value->median) + " (" + figure(value->min) + "-"
    + figure(value->max) + ")";
}

line line_of(const row& entry) {
  return {entry.suite,         entry.name,
          entry.unit,          figure(entry.ours),
          figure(entry.peer),  figure(entry.limit),
          figure(entry.ratio), figure(entry.of_limit)};
}

nlohmann::json json_of(const std::optional<double>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

} // namespace

row summarize(const measured& figures) {
  assert(!figures.ours.empty());
  return {figures.suite,
          figures.name,
          figures.unit,
          median(figures.ours),
          middle(figures.peer),
          middle(figures.limit),
          relation(figures.ours, figures.peer),
          relation(figures.ours, figures.limit)};
}

nlohmann::json report_json(const std::vector<row>& rows) {
  auto list = nlohmann::json::array();
  for (const auto& entry : rows) {
    const auto ratio = entry.ratio ? nlohmann::json(entry.ratio->median)
                                   : nlohmann::json(nullptr);
    list.push_back({{"suite", entry.suite},
                    {"case", entry.name},
                    {"unit", entry.unit},
                    {"ours", entry.ours},
                    {"peer", json_of(entry.peer)},
                    {"limit", json_of(entry.limit)},
                    {"ratio", ratio}});
  }
  return list;
}

std::string report_table(const std::vector<row>& rows) {
  std::vector<line> lines = {{"suite", "case", "unit", "ours", "swtpm", "limit",
                              "ours/swtpm", "ours/limit"}};
  std::transform(rows.begin(), rows.end(), std::back_inserter(lines), line_of);
  std::array<std::size_t, column_count> widths{};
  for (const auto& cells : lines)
    for (std::size_t i = 0; i < column_count; ++i)
      widths[i] = std::max(widths[i], cells[i].size());
  std::string text;
  for (const auto& cells : lines) {
    for (std::size_t i = 0; i < column_count; ++i) {
      const auto padding = std::string(widths[i] - cells[i].size(), ' ');
      const auto is_word = i < word_columns;
      text += i == 0 ? "" : "  ";
      text += is_word ? cells[i] + padding : padding + cells[i];
    }
    text += '\n';
  }
  return text;
}

} // namespace vtpm::deploy
