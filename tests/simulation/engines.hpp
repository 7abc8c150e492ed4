#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/commands.hpp"
#include "tpm/libtpms_engine.hpp"

namespace vtpm::simulation {

enum class engine_kind : std::uint8_t {
  model,
  tpm12,
  tpm20,
};

const char* name_of(engine_kind kind) noexcept;

/// A TPM that worlds begin with, and how to switch it on.
struct engine_kit {
  engine_kind kind;
  tpm_version version;
  /// Out of the factory and ready for `guests_max` guests.
  tpm::snapshot_ptr base;
};

/// Makes one; always the same, as all entropy comes from a seed.
engine_kit make_kit(engine_kind kind);

/// Switches the TPM on.
tpm::result<tpm::powered_engine> power_on(const engine_kit& kit,
                                          tpm::snapshot_ptr state);

/// Returns what the TPM keeps of guests 0 to `count` - 1, by reading it.
std::vector<guest_state> observe(tpm::engine& engine, unsigned count);

/// From now on all that OpenSSL, and so libtpms, calls random comes from
/// `seed`.
void seed_entropy(std::uint64_t seed);

} // namespace vtpm::simulation
