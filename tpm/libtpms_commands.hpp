#pragma once

#include <concepts>
#include <cstdint>
#include <string>

#include "protocol/big_endian.hpp"
#include "protocol/bytes.hpp"
#include "tpm/engine.hpp"
#include "tpm/errc.hpp"
#include "tpm/libtpms_library.hpp"

// The few commands that vtpmd itself gives to its TPM. For tpm/libtpms_*.cpp
// only.

namespace vtpm::tpm {

/// TPM_TAG_RQU_COMMAND (TPM Main Part 2, 6) and TPM_ST_NO_SESSIONS,
/// TPM_ST_SESSIONS (2.0 Part 2, 6.9).
inline constexpr std::uint16_t tag_rqu_command = 0x00C1;
inline constexpr std::uint16_t tag_no_sessions = 0x8001;
inline constexpr std::uint16_t tag_sessions = 0x8002;

/// TPM2_Shutdown (2.0 Part 2, 6.5.2).
inline constexpr std::uint32_t cc_shutdown = 0x00000145;

/// One command in the making.
class command_builder {
public:
  /// Starts with a header; `finish` fills in its size.
  command_builder(std::uint16_t tag, std::uint32_t code);

  /// Appends a big-endian integer.
  template <std::unsigned_integral T>
  command_builder& put(T value) {
    const auto end = octets_.size();
    octets_.resize(end + sizeof(T));
    protocol::store_be(octets_.data() + end, value);
    return *this;
  }

  /// Appends `count` octets of value `octet`.
  command_builder& fill(std::size_t count, std::uint8_t octet);

  /// Returns the packet.
  const byte_vector& finish();

private:
  byte_vector octets_;
};

/// Returns whether `response` is one and reports success.
bool succeeded(byte_view response) noexcept;

/// Runs a command at locality 0 and returns its response, borrowed until the
/// next one. A response other than success is `errc::engine` and named after
/// `what`.
result<byte_view> run(libtpms_library& library, const char* what,
                      command_builder& command);

/// Gives TPM2_Shutdown(CLEAR) and returns whether it succeeded.
bool shut_down_clear(libtpms_library& library);

/// Gives a 2.0 TPM fresh entropy, as far as it takes any before its Startup.
void stir_random(libtpms_library& library);

/// Returns `errc::unusable` if a TPM of `version` has no such startup.
result<unit> check_startup(tpm_version version, startup how);

/// Gives the TPM the Startup that `how` asks for.
/// @pre `check_startup`, and the TPM has just been switched on.
result<unit> start_up(libtpms_library& library, startup how);

} // namespace vtpm::tpm
