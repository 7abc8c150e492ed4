#pragma once

#include <string>

#include "tests/tpm/engine_fixture.hpp"

// Commands that more than one test gives.

namespace vtpm::tests {

inline const auto digest
  = std::string{"0102030405060708090a0b0c0d0e0f1011121314"};

// -- 1.2 commands -------------------------------------------------------------

inline const auto startup_1_2 = tpm12("00000099 0001");
inline const auto get_flags = tpm12("00000065 00000004 00000004 00000108");
inline const auto get_random_1_2 = tpm12("00000046 00000010");
inline const auto extend_1_2 = tpm12("00000014 00000000" + digest);
inline const auto read_pcr_1_2 = tpm12("00000015 00000000");
inline const auto save_state = tpm12("00000098");
inline const auto physical_disable = tpm12("00000070");

/// Defines 8 octets at index 1, readable by all, writable in physical presence.
inline const auto define_nv_1_2
  = tpm12("000000cc 0018 00000001"
          "0003 000000 1f 0000000000000000000000000000000000000000"
          "0003 000000 1f 0000000000000000000000000000000000000000"
          "0017 00000001 00 00 00 00000008"
          "0000000000000000000000000000000000000000");
inline const auto write_nv_1_2
  = tpm12("000000cd 00000001 00000000 00000008 1122334455667788");
inline const auto read_nv_1_2 = tpm12("000000cf 00000001 00000000 00000008");

// -- 2.0 commands -------------------------------------------------------------

inline const auto startup_2_0 = tpm20("00000144 0000");
inline const auto shutdown_clear = tpm20("00000145 0000");
inline const auto shutdown_state = tpm20("00000145 0001");
inline const auto get_random_2_0 = tpm20("0000017b 0010");
inline const auto extend_2_0
  = tpm20_auth("00000182 00000000", "00000001 0004" + digest);
inline const auto read_pcr_2_0 = tpm20("0000017e 00000001 0004 03 010000");

/// Defines 8 octets at index 01000001, readable and writable with password
/// "aa", under dictionary-attack protection.
inline const auto define_nv_2_0
  = tpm20_auth("0000012a 40000001",
               "0001 aa"
               "000e 01000001 000b 00040004 0000 0008");
inline const auto write_nv_2_0 = tpm20_auth("00000137 01000001 01000001",
                                            "0008 1122334455667788 0000", "aa");
inline const auto read_nv_2_0
  = tpm20_auth("0000014e 01000001 01000001", "0008 0000", "aa");

/// TPM_RC_RETRY: the library notes the first use of a protected object and
/// wants the command again.
inline constexpr auto rc_retry = 0x922u;
inline constexpr auto rc_lockout = 0x921u;
inline constexpr auto rc_initialize = 0x100u;

inline std::uint32_t run_twice_if_asked(powered_tpm& tpm,
                                        const byte_vector& request) {
  const auto code = tpm.run(request);
  return code == rc_retry ? tpm.run(request) : code;
}

/// A 1.2 TPM with the presence pin set, which NV definition needs.
inline powered_tpm present_tpm() {
  return {tpm_version::v1_2, factory_state(tpm_version::v1_2),
          tpm::startup::clear, true};
}

} // namespace vtpm::tests
