#pragma once

#include <cstdint>

#include "deploy/bench/tpm12_session.hpp"
#include "deploy/front/ring_client.hpp"
#include "deploy/result.hpp"
#include "protocol/bytes.hpp"

// The TPM 1.2 commands that are measured (TPM Main Part 3), and those that
// prepare for them. Every secret is 20 zeros.

namespace vtpm::deploy::tpm12 {

/// The NV index that is measured.
inline constexpr std::uint32_t nv_index = 0x00011101;

/// What it holds.
inline constexpr std::uint32_t nv_size = 32;

/// Every authorization that is set here.
inline constexpr digest well_known_secret{};

/// Reads PCR 0.
byte_vector pcr_read();

/// Extends PCR 16, which is for debugging.
byte_vector extend();

/// Asks for 32 octets.
byte_vector get_random();

/// Makes `nv_index`, readable by anyone, writable with its secret. Asks for
/// physical presence.
byte_vector nv_define();

byte_vector nv_read();

/// Writes all of `nv_index` in an OIAP session; the content starts with
/// `value`, so that two values differ.
byte_vector nv_write(const session& owner, std::uint64_t value);

/// Makes an RSA-2048 signing key under the SRK, in an OSAP session for it.
byte_vector create_wrap_key(const session& srk);

/// Opens an OSAP session for the SRK.
result<session> open_srk_session(const transactor& run);

/// Makes a new TPM fit for use: present, enabled and, from the next TPM_Init
/// on, active.
result<unit> activate(const transactor& run);

/// Makes the endorsement key of a TPM that has none.
result<unit> create_endorsement_key(const transactor& run);

/// Gives an owner to a TPM that has none, and makes the SRK.
result<unit> take_ownership(const transactor& run);

} // namespace vtpm::deploy::tpm12
