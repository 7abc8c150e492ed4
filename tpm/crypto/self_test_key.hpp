#pragma once

#include "tpm/crypto/rsa_key.hpp"

namespace vtpm::tpm {

/// Returns the RSA-2048 key that the self-test of a TPM 1.2 works on; null when
/// memory is short. It is public and so protects nothing, see
/// `rsa_method::self_test`.
rsa_ptr make_self_test_key();

} // namespace vtpm::tpm
