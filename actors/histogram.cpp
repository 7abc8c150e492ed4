#include "actors/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <numeric>

namespace vtpm::actors {

namespace {

constexpr std::size_t buckets_per_octave = 4;

/// The first octave begins at 2 to this power.
constexpr std::size_t first_exponent = 8;

/// 2^(1/4), 2^(2/4), 2^(3/4), 2.
constexpr std::array<double, buckets_per_octave> steps
  = {1.189207115002721, 1.4142135623730951, 1.681792830507429, 2.0};

/// The inclusive upper bound of each bucket, in nanoseconds.
constexpr auto bounds = [] {
  std::array<std::uint64_t, histogram::bucket_count> result{};
  for (std::size_t i = 0; i < result.size(); ++i) {
    const auto octave = std::uint64_t{1}
      << (first_exponent + i / buckets_per_octave);
    result[i] = static_cast<std::uint64_t>(static_cast<double>(octave)
                                           * steps[i % buckets_per_octave]);
  }
  return result;
}();

static_assert(bounds.front() == 304);
static_assert(bounds.back() == std::uint64_t{256} << 32);

std::size_t bucket_of(std::uint64_t nanoseconds) {
  if (nanoseconds <= bounds.front())
    return 0;
  if (nanoseconds > bounds.back())
    return bounds.size() - 1;
  // A bound belongs to the bucket below it, hence the one less.
  const auto exponent
    = static_cast<std::size_t>(std::bit_width(nanoseconds - 1)) - 1;
  auto bucket = (exponent - first_exponent) * buckets_per_octave;
  while (bounds[bucket] < nanoseconds)
    ++bucket;
  return bucket;
}

} // namespace

void histogram::record(std::uint64_t nanoseconds) noexcept {
  ++buckets_[bucket_of(nanoseconds)];
}

std::uint64_t histogram::quantile(double q) const noexcept {
  assert(q >= 0 && q <= 1);
  const auto total = count();
  if (total == 0)
    return 0;
  const auto wanted = std::ceil(q * static_cast<double>(total));
  const auto rank
    = std::clamp(static_cast<std::uint64_t>(wanted), std::uint64_t{1}, total);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank)
      return bounds[i];
  }
  return bounds.back();
}

std::uint64_t histogram::count() const noexcept {
  return std::accumulate(buckets_.begin(), buckets_.end(), std::uint64_t{0});
}

histogram& histogram::operator+=(const histogram& more) noexcept {
  for (std::size_t i = 0; i < buckets_.size(); ++i)
    buckets_[i] += more.buckets_[i];
  return *this;
}

} // namespace vtpm::actors
