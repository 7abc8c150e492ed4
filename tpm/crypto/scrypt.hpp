#pragma once

#include "protocol/bytes.hpp"
#include "tpm/crypto/secret.hpp"
#include "tpm/errc.hpp"

namespace vtpm::tpm {

/// Makes 32 octets of a passphrase: scrypt (RFC 7914) with N = 2^`log2_cost`,
/// r = 8 and p = 1. Takes 1024 * N octets of memory and about 2^-18 * N s, for
/// us and for whoever tries passphrases.
result<secret_bytes> scrypt(byte_view passphrase, byte_view salt,
                            unsigned log2_cost);

} // namespace vtpm::tpm
