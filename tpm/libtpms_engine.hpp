#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "tpm/engine.hpp"

// libtpms behind `engine`, TPM 1.2 and 2.0.
//
// What the library guarantees: one command at a time runs to its end or to a
// point where it may be cancelled; what a command made permanent is handed over
// before its response; a change that cannot be taken over stops the TPM instead
// of being acknowledged.
//
// What it does not: it keeps its TPM in globals, so a process can have one at a
// time, and a second is refused with `errc::engine`. It takes a state blob that
// someone altered, as long as it unpacks (the 2.0 blob has no checksum, the 1.2
// blob one that anybody can compute), so integrity, authenticity and freshness
// are the state store's. It does not tell a volatile state of one permanent
// state from that of another. A 1.2 TPM reports an input buffer of 4096 octets
// whatever it is told; the ring refuses what exceeds `packet_size_max`.

namespace vtpm::tpm {

/// How a new TPM comes out of the factory.
struct manufacture_options {
  /// 1.2: leaves TSC_PhysicalPresence to the guest, so that its software can
  /// claim presence after every startup. Without it that command is disabled
  /// for the TPM's life, and only the pin counts (see `power_on_libtpms`).
  bool physical_presence = false;
  /// 2.0: the PCR banks to allocate, of "sha1", "sha256", "sha384", "sha512".
  std::vector<std::string> pcr_banks = {"sha1", "sha256"};
};

/// Makes a new TPM that is ready to use and returns its state, without a saved
/// state; the engine is gone afterwards. 1.2: RSA-2048 endorsement key,
/// enabled, activated, ownership allowed, nvLocked set. 2.0: exactly the PCR
/// banks asked for; `errc::unusable` for an unknown name or none at all.
result<snapshot_ptr> manufacture_libtpms(tpm_version version,
                                         const manufacture_options& options);

/// A powered-on TPM and the state that powering it on changed, if any.
struct powered_engine {
  std::unique_ptr<engine> instance;
  snapshot_ptr changed;
};

/// TPM_Init with `state`, then `how`. Refuses a blank state, one that the
/// library cannot unpack, and a startup that `version` does not have.
/// @param physical_presence 1.2: asserts the physical presence pin for as long
///                          as this engine lives, for every frontend.
/// @param key_pool How many RSA-2048 keys are kept ready, made while the
/// machine
///                 is idle, for the commands that make one; zero: none, and no
///                 thread that makes them.
result<powered_engine> power_on_libtpms(tpm_version version, snapshot_ptr state,
                                        startup how,
                                        bool physical_presence = false,
                                        std::size_t key_pool = 0);

/// Goes on from where a TPM was: PCRs, sessions, loaded keys and all else that
/// a reset loses. Gives a 2.0 TPM's generator fresh entropy, so that two
/// continuations of one state never draw the same nonces; a 1.2 TPM draws from
/// this process's own, and any command would end its guest's SHA-1 thread.
/// Refuses, and leaves no TPM behind, where the library cannot unpack either.
/// @param state The state that the TPM had then, from the same instant: the
///              library would take any.
/// @param volatile_state What `engine::volatile_state` returned.
result<powered_engine> resume_libtpms(tpm_version version, snapshot_ptr state,
                                      byte_view volatile_state,
                                      bool physical_presence = false,
                                      std::size_t key_pool = 0);

} // namespace vtpm::tpm
