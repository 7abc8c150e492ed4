#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

namespace vtpm::tests {

/// A secret of some 64-bit words, as OpenSSL keeps a number, that is looked for
/// without being in memory itself.
class masked_words {
public:
  explicit masked_words(const std::vector<std::uint64_t>& words) {
    for (const auto word : words)
      words_.push_back(word ^ mask);
  }

  /// Returns how often the secret is in this process's writable memory.
  int sightings() const {
    auto found = 0;
    auto maps = std::ifstream{"/proc/self/maps"};
    const auto memory = ::open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    REQUIRE(memory >= 0);
    for (std::string line; std::getline(maps, line);) {
      auto begin = std::uint64_t{0};
      auto end = std::uint64_t{0};
      char access[5] = {};
      if (std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, access) == 3
          && access[1] == 'w' && end - begin <= region_max)
        found += sightings_in(memory, begin, end);
    }
    ::close(memory);
    return found;
  }

private:
  static constexpr auto mask = std::uint64_t{0xA5C3F00F5A3C0FF0};

  /// What a sanitizer maps for itself is far larger than any heap of ours.
  static constexpr auto region_max = std::uint64_t{1} << 28;

  int sightings_in(int memory, std::uint64_t begin, std::uint64_t end) const {
    // Overlapping pieces, so that none is cut in two. What is read stays in
    // this one buffer, and would be seen there.
    static std::uint64_t piece[512];
    auto found = 0;
    const auto step = sizeof(piece) - words_.size() * 8;
    for (auto at = begin; at < end; at += step) {
      if (at <= reinterpret_cast<std::uintptr_t>(piece) + sizeof(piece)
          && reinterpret_cast<std::uintptr_t>(piece) <= at + sizeof(piece))
        continue;
      const auto size
        = ::pread(memory, piece, sizeof(piece), static_cast<off_t>(at));
      if (size > 0)
        found += sightings_among(piece, static_cast<std::size_t>(size) / 8);
    }
    std::memset(piece, 0, sizeof(piece));
    return found;
  }

  int sightings_among(const std::uint64_t* words, std::size_t count) const {
    auto found = 0;
    for (std::size_t i = 0; i + words_.size() <= count; ++i) {
      auto equal = std::size_t{0};
      while (equal < words_.size()
             && (words[i + equal] ^ mask) == words_[equal])
        ++equal;
      if (equal == words_.size())
        ++found;
    }
    return found;
  }

  std::vector<std::uint64_t> words_;
};

} // namespace vtpm::tests
