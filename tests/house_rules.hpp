#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

// The house rules as functions of text, so that the checker can be checked.
// They rely on clang-format's layout: a definition ends with a brace in the
// column in which it starts.

namespace vtpm::house {

/// Upper bounds on what one person reads at a time.
inline constexpr std::size_t columns_max = 80;
inline constexpr std::size_t file_lines_max = 400;
inline constexpr std::size_t function_lines_max = 70;

/// One broken rule: where, and what to do about it.
struct fault {
  /// 1 is the first line; 0 where the file as a whole is meant.
  std::size_t line;
  std::string what;
};

using faults = std::vector<fault>;

/// Returns the lines of `text` without their ends.
std::vector<std::string_view> lines_of(std::string_view text);

/// Checks the dependency direction: every include of the file at `path`, which
/// is relative to the top level, must be allowed there.
faults check_includes(std::string_view path, std::string_view text);

/// Checks columns (code points, as clang-format counts them) and lines.
faults check_size(std::string_view text);

/// Checks the length of every function, signature and closing brace included.
faults check_functions(std::string_view text);

/// Checks that nothing is put off and no warning is silenced by a comment.
faults check_words(std::string_view text);

/// Returns the `.cpp` files that a CMakeLists.txt in `folder` names, relative
/// to the top level as `folder` is.
std::vector<std::string> sources_named_in(std::string_view folder,
                                          std::string_view cmake_text);

/// Returns whether an entry called `name` may lie at the top level: the fixed
/// folders and files, dot-files, and what .gitignore leaves out of git.
bool is_allowed_at_top(std::string_view name);

} // namespace vtpm::house
