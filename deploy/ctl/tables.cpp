#include "deploy/ctl/tables.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <span>
#include <vector>

#include <nlohmann/json.hpp>

namespace vtpm::deploy {

namespace {

using nlohmann::json;

using row = std::vector<std::string>;

/// One column: its heading and where its value is in an object.
struct column {
  const char* heading;
  const char* pointer;
};

constexpr column frontend_columns[] = {
  {"DOMID", "/domid"},
  {"HANDLE", "/handle"},
  {"UUID", "/uuid"},
  {"STATE", "/state"},
  {"PRIMARY", "/primary"},
  {"COMMANDS", "/commands"},
  {"ERRORS", "/errors"},
  {"MALFORMED", "/malformed"},
  {"DENIED", "/denied"},
  {"REFUSED", "/refused"},
  {"CANCELS", "/cancels"},
  {"IN(B)", "/bytes_in"},
  {"OUT(B)", "/bytes_out"},
  {"P50(us)", "/latency_us/p50"},
  {"P99(us)", "/latency_us/p99"},
};

constexpr column actor_columns[] = {
  {"ACTOR", "/name"},      {"MAILBOX", "/mailbox/now"}, {"MAX", "/mailbox/max"},
  {"HANDLED", "/handled"}, {"BUSY(us)", "/busy_us"},
};

constexpr column status_lines[] = {
  {"TPM", "/tpm/version"},
  {"UUID", "/tpm/uuid"},
  {"stopped", "/tpm/stopped"},
  {"shadow", "/tpm/shadow"},
  {"running now", "/tpm/running"},
  {"commands", "/tpm/commands"},
  {"  off-loaded", "/tpm/offloaded"},
  {"  queued now", "/tpm/queued"},
  {"resets", "/tpm/resets"},
  {"primary", "/platform/primary"},
  {"  its domid", "/platform/domid"},
  {"  its boots", "/platform/resets"},
  {"  keep next", "/platform/keep_next"},
  {"generation", "/tpm/generation"},
  {"  durable", "/commits/generation"},
  {"  in slot", "/commits/slot"},
  {"commits", "/commits/commits"},
  {"  commands each", "/commits/commands_per_commit"},
  {"  p50 (us)", "/commits/latency_us/p50"},
  {"  p99 (us)", "/commits/latency_us/p99"},
  {"  repeated", "/commits/retries"},
  {"  failing now", "/commits/failing"},
};

constexpr column gone_lines[] = {
  {"gone", "/gone/frontends"},      {"  commands", "/gone/commands"},
  {"  errors", "/gone/errors"},     {"  malformed", "/gone/malformed"},
  {"  denied", "/gone/denied"},     {"  refused", "/gone/refused"},
  {"  cancels", "/gone/cancels"},   {"  in (B)", "/gone/bytes_in"},
  {"  out (B)", "/gone/bytes_out"},
};

std::string printable(std::string text) {
  std::replace_if(
    text.begin(), text.end(), [](char one) { return one < 0x20 || one > 0x7E; },
    '?');
  return text.empty() ? "-" : text;
}

std::string cell(const json& object, const char* pointer) {
  const auto path = json::json_pointer{pointer};
  if (!object.contains(path))
    return "-";
  const auto& value = object.at(path);
  if (value.is_boolean())
    return value.get<bool>() ? "yes" : "no";
  if (value.is_number_float()) {
    std::array<char, 64> text;
    std::snprintf(text.data(), text.size(), "%.1f", value.get<double>());
    return text.data();
  }
  if (value.is_string())
    return printable(value.get<std::string>());
  return value.is_number() ? value.dump() : "-";
}

/// Numbers go right, everything else left.
bool is_numeric(const std::string& text) {
  return text == "-"
    || text.find_first_not_of("0123456789.") == std::string::npos;
}

std::string aligned(const std::vector<row>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& one : rows) {
    widths.resize(std::max(widths.size(), one.size()));
    for (std::size_t i = 0; i < one.size(); ++i)
      widths[i] = std::max(widths[i], one[i].size());
  }
  std::string text;
  for (const auto& one : rows) {
    std::string line;
    for (std::size_t i = 0; i < one.size(); ++i) {
      const auto padding = std::string(widths[i] - one[i].size(), ' ');
      // The heading follows its column, which the last row stands for.
      const auto right = is_numeric(rows.back()[i]);
      line += right ? padding + one[i] : one[i] + padding;
      line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

std::string table(const json& reply, const char* member,
                  std::span<const column> columns) {
  const auto found = reply.find(member);
  if (found == reply.end() || !found->is_array() || found->empty())
    return std::string{"no "} + member + '\n';
  std::vector<row> rows(1);
  for (const auto& [heading, pointer] : columns)
    rows.front().emplace_back(heading);
  for (const auto& object : *found) {
    row one;
    for (const auto& [heading, pointer] : columns)
      one.push_back(cell(object, pointer));
    rows.push_back(std::move(one));
  }
  return aligned(rows);
}

std::string lines(const json& reply, std::span<const column> named) {
  auto width = std::size_t{0};
  for (const auto& [name, pointer] : named)
    width = std::max(width, std::string{name}.size());
  std::string text;
  for (const auto& [name, pointer] : named) {
    auto line = std::string{name};
    line.resize(width + 2, ' ');
    text += line + cell(reply, pointer) + '\n';
  }
  return text;
}

/// Who is there, and what came of those who went.
std::string frontends(const json& reply) {
  return table(reply, "frontends", frontend_columns) + '\n'
    + lines(reply, gone_lines);
}

} // namespace

std::string to_tables(control_request request, const json& reply) {
  switch (request) {
    case control_request::status:
      return lines(reply, status_lines) + "frontends        "
        + cell(reply, "/frontends") + '\n';
    case control_request::frontends:
      return frontends(reply);
    case control_request::stats:
      return lines(reply, status_lines) + '\n'
        + table(reply, "actors", actor_columns) + '\n' + frontends(reply);
    case control_request::reset:
    case control_request::keep_next:
    case control_request::resume:
    case control_request::abandon:
    case control_request::restart:
    case control_request::shutdown:
      return "done\n";
  }
  return {};
}

} // namespace vtpm::deploy
