#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace vtpm::actors {

/// Counts durations in buckets whose bounds are a quarter of an octave, about
/// 19 %, apart, so that recording costs a few nanoseconds and one kibibyte
/// holds everything. Bucket `i` counts up to `256 * 2^((i + 1) / 4)` ns, so
/// they cover 304 ns to 18 minutes; what is shorter counts in the first, what
/// is longer in the last.
class histogram {
public:
  static constexpr std::size_t bucket_count = 128;

  void record(std::uint64_t nanoseconds) noexcept;

  /// Returns a duration that the fraction `q` (0..1) of what was recorded did
  /// not exceed, in nanoseconds: the upper bound of the bucket that holds the
  /// sample of rank `ceil(q * count)`, counted from 1 in ascending order. So it
  /// is never below that sample (unless that is beyond the last bound) and less
  /// than 19 % above it (unless that is below the first bound); 0 when nothing
  /// was recorded.
  std::uint64_t quantile(double q) const noexcept;

  std::uint64_t count() const noexcept;

  /// Counts all that `more` has counted.
  histogram& operator+=(const histogram& more) noexcept;

private:
  std::array<std::uint64_t, bucket_count> buckets_{};
};

} // namespace vtpm::actors
