#pragma once

#include <tss2/tss2_tpm2_types.h>

#include "tpm/crypto/public_key.hpp"
#include "tpm/hardware/hardware_tpm.hpp"

// Public areas and algorithms that we choose (TPM 2.0 Part 2, 12.2). What is
// sealed depends on them: do not change the values.

namespace vtpm::tpm {

inline constexpr TPMT_SYM_DEF parameter_cipher
  = {TPM2_ALG_AES, {.aes = 128}, {.aes = TPM2_ALG_CFB}};

inline constexpr TPMT_SYM_DEF no_cipher = {TPM2_ALG_NULL, {}, {}};

/// The storage key: ECC NIST P-256 with AES-128, restricted, as "TCG TPM v2.0
/// Provisioning Guidance", 7.5.1, has it.
TPM2B_PUBLIC storage_key_template() noexcept;

/// An object that holds a secret and opens by policy alone.
TPM2B_PUBLIC sealed_template(byte_view policy) noexcept;

/// A key that others have made, to verify signatures with.
TPM2B_PUBLIC verifying_template(const public_key& key) noexcept;

/// A signature of such a key.
result<TPMT_SIGNATURE> signature_of(const public_key& key, byte_view octets);

/// The registers, as commands name them.
TPML_PCR_SELECTION selection_of(const pcr_selection& pcrs) noexcept;

/// A counter's index.
TPM2B_NV_PUBLIC counter_template(const nv_counter& counter) noexcept;

} // namespace vtpm::tpm
