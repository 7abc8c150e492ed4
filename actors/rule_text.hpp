#pragma once

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

// What the readers of rules on the command line share.

namespace vtpm::actors {

/// A rule needs far less; what is longer is not repeated to the operator.
inline constexpr std::size_t rule_quoted_max = 48;

/// Returns `text` in quotes, on one line and of bounded length.
inline std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const auto c : text.substr(0, rule_quoted_max))
    result += std::isprint(static_cast<unsigned char>(c)) != 0 ? c : '?';
  result += text.size() > rule_quoted_max ? "...\"" : "\"";
  return result;
}

/// Cuts and returns what comes before the first `separator`, or everything.
inline std::string_view cut(std::string_view& rest, char separator) {
  const auto end = std::min(rest.find(separator), rest.size());
  const auto head = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return head;
}

/// Calls `read` with each piece of a list until one returns what is wrong.
/// Unlike a loop over `cut`, sees the empty piece after a last comma.
template <class Read>
std::string read_list(std::string_view list, Read read) {
  for (;;) {
    const auto last = list.find(',') == std::string_view::npos;
    if (auto wrong = read(cut(list, ',')); !wrong.empty() || last)
      return wrong;
  }
}

} // namespace vtpm::actors
