#pragma once

#include <filesystem>

#include <stdlib.h>

#include <doctest/doctest.h>

namespace vtpm::tests {

/// A directory of its own, removed at the end.
class scratch_directory {
public:
  scratch_directory() {
    auto pattern
      = (std::filesystem::temp_directory_path() / "vtpm-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }

  ~scratch_directory() {
    std::filesystem::remove_all(path_);
  }

  std::filesystem::path path() const {
    return path_;
  }

private:
  std::filesystem::path path_;
};

} // namespace vtpm::tests
