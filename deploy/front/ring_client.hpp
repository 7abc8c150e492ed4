#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "deploy/result.hpp"
#include "protocol/bytes.hpp"
#include "protocol/version.hpp"
#include "xenio/frontend.hpp"

namespace vtpm::deploy {

/// Runs one command and returns its response. A problem means that the TPM is
/// out of reach for good.
using transactor = std::function<result<byte_vector>(byte_view)>;

/// Returns a transactor for `ring`, which must outlive it. A command that takes
/// longer than `limit` is cancelled and answered TPM_FAIL or TPM_RC_FAILURE.
transactor make_transactor(xenio::frontend& ring, std::uint8_t locality,
                           std::chrono::milliseconds limit);

/// Returns which TPM a command is meant for, by its tag: 0x8001 and 0x8002 are
/// 2.0's (Part 2, 6.9), all else counts as 1.2.
tpm_version version_of(byte_view command) noexcept;

} // namespace vtpm::deploy
