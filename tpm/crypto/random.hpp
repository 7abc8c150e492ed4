#pragma once

#include <cstdint>
#include <span>

namespace vtpm::tpm {

/// Fills `target` with octets fit for keys (RAND_priv_bytes). Ends the process
/// when OpenSSL has no entropy: nothing safe can be done then, and Linux gives
/// none only before it has booted.
void fill_random(std::span<std::uint8_t> target) noexcept;

} // namespace vtpm::tpm
