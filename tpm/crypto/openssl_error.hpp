#pragma once

#include <string>

#include "tpm/errc.hpp"

namespace vtpm::tpm {

/// Returns an `errc::io` error that says `what` failed and OpenSSL's reason.
/// Empties this thread's OpenSSL error queue.
error openssl_error(std::string what);

} // namespace vtpm::tpm
