#pragma once

#include "deploy/result.hpp"
#include "protocol/bytes.hpp"

namespace vtpm::deploy::tpm12 {

/// Encrypts a secret for the holder of an RSA key with exponent 65537, as
/// TPM_ES_RSAESOAEP_SHA1_MGF1 says (TPM Main Part 1, 31.1.1): OAEP with SHA-1
/// and the label "TCPA".
/// @param modulus Big-endian.
result<byte_vector> encrypt_oaep(byte_view modulus, byte_view secret);

} // namespace vtpm::deploy::tpm12
