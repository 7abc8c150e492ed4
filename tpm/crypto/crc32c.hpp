#pragma once

#include <cstdint>

#include "protocol/bytes.hpp"

namespace vtpm::tpm {

/// Returns the CRC-32C (Castagnoli) of `data`, as iSCSI has it (RFC 3720, 12.1
/// and B.4). Detects accidents, not attackers.
std::uint32_t crc32c(byte_view data) noexcept;

/// The same without the processor's help; for processors that have none, and
/// for tests to compare.
std::uint32_t crc32c_portable(byte_view data) noexcept;

} // namespace vtpm::tpm
