#pragma once

#include <string>
#include <utility>
#include <vector>

namespace vtpm::tests {

/// A command line as `main` gets it.
class arguments {
public:
  explicit arguments(std::vector<std::string> words)
    : words_(std::move(words)) {
    words_.insert(words_.begin(), "program");
    for (const auto& word : words_)
      pointers_.push_back(word.c_str());
  }

  int count() const {
    return static_cast<int>(pointers_.size());
  }

  const char* const* values() const {
    return pointers_.data();
  }

private:
  std::vector<std::string> words_;
  std::vector<const char*> pointers_;
};

} // namespace vtpm::tests
