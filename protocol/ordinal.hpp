#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/bytes.hpp"
#include "protocol/version.hpp"

namespace vtpm::protocol {

/// What the house needs to know about a command before it runs. Serves
/// scheduling and logs only: what a command changed is known from the engine.
struct ordinal_attributes {
  /// The field's name, e.g. "TPM_Extend" or "TPM2_PCR_Extend"; "unknown" for
  /// ordinals that are not in the table.
  std::string_view name;
  /// May alter PCRs, sessions, loaded objects or anything else that a reset
  /// loses. Unknown ordinals: true. Not counted: what every command does to
  /// what others began - it ends an exclusive session and a SHA-1 thread, and
  /// enters the audit digest if the owner has it audited - and the random
  /// generator, which gets fresh entropy after every restore.
  bool changes_volatile;
  /// May take longer than about a millisecond (RSA private operations, key
  /// generation): runs on the worker, not on the reactor.
  bool expensive;
  /// The engine looks at its cancel flag while running this (2.0 only).
  bool cancellable;
  /// May carry authorization sessions, or opens one.
  bool uses_sessions;
};

/// Returns the attributes of `ordinal` for a TPM of `version`: what any command
/// with that ordinal may do.
const ordinal_attributes& attributes_of(tpm_version version,
                                        std::uint32_t ordinal) noexcept;

/// Returns the attributes of one command, sharper than its ordinal alone gives
/// them: a command without sessions changes only what it is for, and
/// TPM2_StartAuthSession is expensive only with a tpmKey to decrypt a salt.
/// @param command A whole packet; of fewer octets than a header, the attributes
///                of an unknown ordinal are returned.
ordinal_attributes attributes_of(tpm_version version,
                                 byte_view command) noexcept;

} // namespace vtpm::protocol
