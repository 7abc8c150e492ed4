#pragma once

#include <optional>

#include "actors/platform.hpp"
#include "protocol/bytes.hpp"

// What is remembered of the platform, as octets for whoever keeps them while
// vtpmd is not running. Never kept longer than the TPM's volatile state, so
// other versions of vtpmd are not a concern; a damaged one is.

namespace vtpm::actors {

/// Layout: one octet of flags, the primary's domid (2, big-endian, 0 unless
/// flagged), the number of uuids (1), each uuid (16).
byte_vector encode(const platform_memory& memory);

/// Inverse of `encode`; nothing when that did not make these octets.
std::optional<platform_memory> decode_platform_memory(byte_view octets);

} // namespace vtpm::actors
