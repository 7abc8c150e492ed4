#include "tests/house_rules.hpp"

#include <algorithm>
#include <optional>
#include <regex>
#include <set>

namespace vtpm::house {

namespace {

/// A package and the files that may include it.
struct permission {
  const char* package;
  const char* where;
};

/// The dependency rule. What is not listed is allowed nowhere.
constexpr permission permissions[] = {
  {"std", "^(protocol|tpm|xenio|actors|deploy)/"},
  {"posix", "^(tpm|xenio|actors|deploy)/|^protocol/log\\."},
  {"protocol", "^(protocol|tpm|xenio|actors|deploy)/"},
  {"tpm", "^(tpm|actors|deploy)/"},
  {"xenio", "^(xenio|actors|deploy)/"},
  {"actors", "^(actors|deploy)/"},
  {"deploy", "^deploy/"},
  {"spdlog", "^protocol/log\\."},
  {"openssl", "^(tpm/crypto|deploy)/"},
  {"libtpms", "^tpm/libtpms_[^/]*$"},
  {"tss2", "^tpm/hardware/esys_[^/]*$"},
  {"liburing", "^tpm/[^/]*uring[^/]*$"},
  {"xen", "^xenio/xen/"},
  {"caf", "^(actors|deploy)/"},
  {"cli11", "^deploy/"},
  {"nlohmann", "^deploy/"},
  {"seccomp", "^deploy/"},
  {"systemd", "^deploy/"},
};

/// Include names that do not begin with the name of their package.
struct naming {
  const char* package;
  const char* pattern;
};

constexpr naming namings[] = {
  {"xen", "^(xen/|xenctrl|xenevtchn|xengnttab|xenstore|xentoollog)"},
  {"liburing", "^liburing(\\.h$|/)"},
  {"seccomp", "^seccomp\\.h$"},
  {"cli11", "^CLI/"},
  {"posix", "^(arpa|linux|net|netinet|sys)/"},
  {"posix",
   "^(dirent|endian|fcntl|grp|netdb|poll|pthread|pwd|sched|signal|"
   "syslog|termios|time|unistd)\\.h$"},
  // SSE 4.2: an instruction set, not a library.
  {"posix", "^nmmintrin\\.h$"},
};

/// Returns the package that an include belongs to, "" for an unknown one.
std::string package_of(const std::string& include) {
  for (const auto& [package, pattern] : namings)
    if (std::regex_search(include, std::regex{pattern}))
      return package;
  const auto slash = include.find('/');
  if (slash == std::string::npos)
    return include.find('.') == std::string::npos ? "std" : "";
  const auto head = include.substr(0, slash);
  const auto known = std::ranges::any_of(
    permissions, [&](const auto& entry) { return entry.package == head; });
  return known && head != "std" && head != "posix" ? head : "";
}

bool is_permitted(const std::string& package, std::string_view path) {
  return std::ranges::any_of(permissions, [&](const auto& entry) {
    return package == entry.package
      && std::regex_search(path.begin(), path.end(), std::regex{entry.where});
  });
}

std::size_t code_points_in(std::string_view line) {
  return static_cast<std::size_t>(std::ranges::count_if(line, [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::size_t indentation_of(std::string_view line) {
  return std::min(line.find_first_not_of(' '), line.size());
}

bool is_comment(std::string_view line) {
  return line.substr(indentation_of(line)).starts_with("//");
}

/// Returns whether no statement goes on from `line` to the next.
bool ends_statement(std::string_view line) {
  return line.empty() || is_comment(line) || line.starts_with('#')
    || std::string_view{";{}:"}.find(line.back()) != std::string_view::npos;
}

/// Returns whether the block that `head` opens is something else than a
/// function. `head` is all from its first line to its brace, in one line.
bool opens_no_function(const std::string& head) {
  static const std::regex other{
    "^ *((template <.*> )?(inline )?"
    "(namespace|class|struct|enum|union|TEST_SUITE)\\b|extern \"C\" \\{).*"};
  return std::regex_match(head, other) || head.ends_with("= {");
}

/// Returns the line that closes the block in `column`, if any does.
std::optional<std::size_t> closing_line(
  const std::vector<std::string_view>& lines, std::size_t from,
  std::size_t column) {
  for (auto i = from; i < lines.size(); ++i)
    if (indentation_of(lines[i]) == column
        && lines[i].substr(column).starts_with('}'))
      return i;
  return std::nullopt;
}

} // namespace

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

faults check_includes(std::string_view path, std::string_view text) {
  static const std::regex pattern{R"(^\s*#\s*include\s*([<"])([^>"]+)[>"].*)"};
  faults found;
  const auto lines = lines_of(text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::match_results<std::string_view::const_iterator> match;
    if (!std::regex_match(lines[i].begin(), lines[i].end(), match, pattern))
      continue;
    const auto include = match[2].str();
    const auto package = package_of(include);
    if (!is_permitted(package, path))
      found.push_back({i + 1, "may not include " + include});
    const std::set<std::string> ours
      = {"protocol", "tpm", "xenio", "actors", "deploy"};
    if (package != "" && (match[1] == "\"") != (ours.count(package) > 0))
      found.push_back({i + 1, "wrong kind of quotes around " + include});
  }
  return found;
}

faults check_size(std::string_view text) {
  faults found;
  const auto lines = lines_of(text);
  if (lines.size() > file_lines_max)
    found.push_back({0, std::to_string(lines.size()) + " lines: split it"});
  for (std::size_t i = 0; i < lines.size(); ++i)
    if (code_points_in(lines[i]) > columns_max)
      found.push_back({i + 1, "more than 80 columns"});
  return found;
}

faults check_functions(std::string_view text) {
  faults found;
  const auto lines = lines_of(text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (!lines[i].ends_with('{') || is_comment(lines[i]))
      continue;
    auto first = i;
    while (first > 0 && !ends_statement(lines[first - 1]))
      --first;
    const auto column = indentation_of(lines[first]);
    std::string head{lines[first]};
    for (auto next = first + 1; next <= i; ++next)
      head
        += ' ' + std::string{lines[next].substr(indentation_of(lines[next]))};
    // Deeper, there are only the insides of functions, and of classes inside
    // classes.
    if (column > 2 || opens_no_function(head))
      continue;
    // A braced initializer ends where its statement does.
    if (head.find(')') == head.npos || head.find('=') < head.find('('))
      continue;
    const auto last = closing_line(lines, i + 1, column);
    if (!last)
      continue;
    const auto length = *last - first + 1;
    if (length > function_lines_max)
      found.push_back(
        {first + 1,
         "a function of " + std::to_string(length) + " lines: split it"});
  }
  return found;
}

faults check_words(std::string_view text) {
  // In halves, so that this file obeys its own rule.
  static const std::regex banned{"\\b(TO"
                                 "DO|FIX"
                                 "ME|X"
                                 "XX|NOLI"
                                 "NT)"
                                 "(NEXTLINE|BEGIN|END)?\\b"};
  faults found;
  const auto lines = lines_of(text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::match_results<std::string_view::const_iterator> match;
    if (std::regex_search(lines[i].begin(), lines[i].end(), match, banned))
      found.push_back({i + 1, "says " + match.str()});
  }
  return found;
}

std::vector<std::string> sources_named_in(std::string_view folder,
                                          std::string_view cmake_text) {
  static const std::regex source{R"re([^\s()"#]+\.cpp)re"};
  std::vector<std::string> found;
  for (auto line : lines_of(cmake_text)) {
    line = line.substr(0, line.find('#'));
    using iterator = std::regex_iterator<std::string_view::const_iterator>;
    for (iterator i{line.begin(), line.end(), source}, end; i != end; ++i)
      found.push_back(std::string{folder} + '/' + i->str());
  }
  return found;
}

bool is_allowed_at_top(std::string_view name) {
  static const std::set<std::string_view> allowed
    = {"CMakeLists.txt", "CMakePresets.json", "LICENSE", "README.md", "actors",
       "deploy", "docs", "protocol", "tests", "tpm", "xenio",
       // .gitignore
       "compile_commands.json"};
  return name.starts_with('.') || name.starts_with("build")
    || allowed.count(name) > 0;
}

} // namespace vtpm::house
