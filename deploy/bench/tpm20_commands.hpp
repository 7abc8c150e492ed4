#pragma once

#include <cstdint>

#include "protocol/bytes.hpp"

// The TPM 2.0 commands that are measured (TPM 2.0 Part 3), and those that
// prepare for them. Authorization is by empty password.

namespace vtpm::deploy::tpm20 {

using handle = std::uint32_t;

/// TPM_RH_NULL (Part 2, 7.4).
inline constexpr handle rh_null = 0x40000007;

/// The NV index that is measured, of the owner's range (TCG Registry of
/// Reserved TPM 2.0 Handles).
inline constexpr handle nv_index = 0x01500010;

/// What it holds.
inline constexpr std::uint16_t nv_size = 32;

/// Reads PCR 0 to 7 of bank SHA-256.
byte_vector pcr_read();

/// Extends PCR 16, which is for debugging, in bank SHA-256.
byte_vector pcr_extend();

/// Asks for 32 octets.
byte_vector get_random();

/// Makes `nv_index`, written and read by its own empty password and without
/// dictionary-attack protection.
byte_vector nv_define();

/// Writes all of `nv_index`; the content starts with `value`, so that two
/// values differ.
byte_vector nv_write(std::uint64_t value);

byte_vector nv_read();

/// What a key is for.
enum class key_kind : std::uint8_t {
  /// RSA-2048, RSASSA with SHA-256.
  rsa_signing,
  /// ECDSA on P-256 with SHA-256.
  ecc_signing,
  /// P-256, parent of other keys.
  ecc_storage,
};

/// Makes a primary key of the null hierarchy; its handle follows the header of
/// the response.
byte_vector create_primary(key_kind kind);

/// Makes a key under `parent`, without loading it.
byte_vector create(handle parent, key_kind kind);

/// Signs a digest with a signing key's own scheme.
byte_vector sign(handle key);

/// Quotes PCR 0 to 7 of bank SHA-256.
byte_vector quote(handle key);

byte_vector flush(handle object);

} // namespace vtpm::deploy::tpm20
