#pragma once

#include <cstdint>

#include "tpm/errc.hpp"

// A store that somebody counts. Its authority has a counter that never goes
// down; each image of the store carries a number; and the order is
//
//   image with the next number durable -> counter raised to it -> acknowledged
//
// So after a cut anywhere the newest image has the counter's value, or the next
// number; an image that has less was put back.
//
// An orderly counter jumps when its TPM loses power otherwise than in good
// order: to the end of its block of `window` + 1 values, where the window's
// bits are all ones. Numbers leave these values out, so a counter that rests at
// one has jumped, and how far it had come before is not known any more.

namespace vtpm::tpm {

/// How a counter in a TPM's NV memory is kept. In sealed files: do not change
/// the values.
enum class counter_kind : std::uint8_t {
  /// Written to NV memory each time.
  strict = 1,
  /// TPMA_NV_ORDERLY: kept in RAM, and written to NV memory at the end of each
  /// block and by TPM2_Shutdown.
  orderly = 2,
};

/// Returns the enumerator's name.
const char* to_string(counter_kind kind) noexcept;

/// What a counter shows.
struct counter_reading {
  std::uint64_t value = 0;
  /// By how much a loss of power makes it jump, at most: a power of two less
  /// one, TPM_PT_ORDERLY_COUNT. Zero if it never does.
  std::uint64_t window = 0;
};

/// What an accepted image is known to be.
struct counter_verdict {
  /// It is durable and its number is not counted yet.
  bool ahead = false;
  /// So many of the last commits may be missing and nobody would know.
  std::uint64_t unsure = 0;
};

/// Returns the number of the image that comes after all that was counted.
std::uint64_t next_number(const counter_reading& counter) noexcept;

/// Decides about the newest image there is. Refuses an older one with
/// `errc::rollback`, and never one that is the newest.
result<counter_verdict> judge(std::uint64_t number,
                              const counter_reading& counter);

} // namespace vtpm::tpm
