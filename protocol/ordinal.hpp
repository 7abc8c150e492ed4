#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/version.hpp"

namespace vtpm::protocol {

/// What the house needs to know about a command before it runs. Serves
/// scheduling and logs only: what a command changed is known from the engine.
struct ordinal_attributes {
  /// The field's name, e.g. "TPM_Extend" or "TPM2_PCR_Extend"; "unknown" for
  /// ordinals that are not in the table.
  std::string_view name;
  /// May alter PCRs, sessions, loaded objects or anything else that a reset
  /// loses. Unknown ordinals: true.
  bool changes_volatile;
  /// May take longer than about a millisecond (RSA private operations, key
  /// generation): runs on the worker, not on the reactor.
  bool expensive;
  /// The engine looks at its cancel flag while running this (2.0 only).
  bool cancellable;
  /// Carries or makes authorization sessions.
  bool uses_sessions;
};

/// Returns the attributes of `ordinal` for a TPM of `version`.
const ordinal_attributes& attributes_of(tpm_version version,
                                        std::uint32_t ordinal) noexcept;

} // namespace vtpm::protocol
