#pragma once

#include <string>
#include <vector>

#include "tpm/shadow_format.hpp"

namespace vtpm::tpm {

/// All that a shadow holds, of one instant.
struct shadow_content {
  generation gen = 0;
  snapshot_ptr state;
  /// What `engine::volatile_state` returned then.
  secret_bytes volatile_state;
  /// What `shadow::remember` was told last.
  byte_vector platform;
  /// At most one per frontend.
  std::vector<recorded_answer> answers;
};

/// Reads the generation, state and volatile state of one instant, and nothing
/// else, of a shadow that somebody may have been writing while `file` was read.
/// Fails if that happened too often meanwhile.
basic_result<shadow_content, std::string> read_shadow_state(
  byte_view file, byte_view key, const shadow_owner& owner);

/// Reads a shadow, or says why it cannot be used. Whoever was killed while
/// writing it left a whole one: that of before the write or that of after.
/// Anything else is damage, and then none of it is used.
basic_result<shadow_content, std::string> read_shadow(
  byte_view file, byte_view key, const shadow_owner& owner);

} // namespace vtpm::tpm
