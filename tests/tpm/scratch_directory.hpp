#pragma once

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <doctest/doctest.h>

namespace vtpm::tests {

/// A directory that is gone with its owner.
class scratch_directory {
public:
  /// @param parent Where to make it: decides on which filesystem.
  explicit scratch_directory(const std::string& parent
                             = std::filesystem::temp_directory_path()) {
    auto name = parent + "/vtpm-test-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }

  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;

  ~scratch_directory() {
    auto ignored = std::error_code{};
    std::filesystem::remove_all(path_, ignored);
  }

  std::string operator/(const std::string& name) const {
    return path_ + "/" + name;
  }

  /// Returns how many entries there are.
  std::ptrdiff_t count() const {
    return std::distance(std::filesystem::directory_iterator{path_}, {});
  }

private:
  std::string path_;
};

} // namespace vtpm::tests
