// RAND_set_rand_method, see `seed_entropy`.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "tests/simulation/engines.hpp"

#include <cstdlib>
#include <random>
#include <stdexcept>

#include <openssl/rand.h>

#include "tests/simulation/model_engine.hpp"

namespace vtpm::simulation {

namespace {

/// Where kits come from; any number.
constexpr std::uint64_t factory_seed = 1;

std::mt19937_64& entropy() {
  static std::mt19937_64 source{factory_seed};
  return source;
}

int fill_from_seed(unsigned char* target, int count) {
  for (auto i = 0; i < count; ++i)
    target[i] = static_cast<unsigned char>(entropy()());
  return 1;
}

int say_seeded() {
  return 1;
}

tpm::snapshot_ptr make_libtpms_base(tpm_version version) {
  auto made = tpm::manufacture_libtpms(version, {true, {"sha256"}});
  if (!made)
    throw std::runtime_error{made.error().detail};
  auto powered
    = tpm::power_on_libtpms(version, *made, tpm::startup::clear, true);
  if (!powered)
    throw std::runtime_error{powered.error().detail};
  auto& engine = *powered->instance;
  for (auto guest = 0u; guest < guests_max; ++guest)
    for (const auto& command : preparation(version, guest))
      if (const auto code = result_of(engine.execute(0, command).response);
          code != 0)
        throw std::runtime_error{"preparing a TPM: result "
                                 + std::to_string(code)};
  return engine.current();
}

byte_vector read_or_throw(tpm::engine& engine, const command& asked) {
  auto response = engine.execute(0, encode(engine.version(), asked)).response;
  if (result_of(response) != 0)
    throw std::runtime_error{std::string{name_of(asked.what)} + ": result "
                             + std::to_string(result_of(response))};
  return response;
}

} // namespace

const char* name_of(engine_kind kind) noexcept {
  static constexpr const char* names[] = {"model", "tpm12", "tpm20"};
  return names[static_cast<unsigned>(kind)];
}

engine_kit make_kit(engine_kind kind) {
  seed_entropy(factory_seed);
  switch (kind) {
    case engine_kind::tpm12:
      return {kind, tpm_version::v1_2, make_libtpms_base(tpm_version::v1_2)};
    case engine_kind::tpm20:
      return {kind, tpm_version::v2_0, make_libtpms_base(tpm_version::v2_0)};
    case engine_kind::model:
      break;
  }
  return {kind, tpm_version::v2_0, new_model()};
}

tpm::result<tpm::powered_engine> power_on(const engine_kit& kit,
                                          tpm::snapshot_ptr state) {
  if (kit.kind == engine_kind::model)
    return power_on_model(std::move(state), {});
  // Presence is what the numbers of a TPM 1.2 are written with.
  return tpm::power_on_libtpms(kit.version, std::move(state),
                               tpm::startup::clear,
                               kit.version == tpm_version::v1_2);
}

std::vector<guest_state> observe(tpm::engine& engine, unsigned count) {
  const auto version = engine.version();
  std::vector<guest_state> out(count);
  for (auto i = 0u; i < count; ++i) {
    if (version == tpm_version::v2_0)
      out[i].counter
        = number_in(version, read_or_throw(engine, {deed::read_counter, i, 0}))
            .value();
    out[i].number
      = number_in(version, read_or_throw(engine, {deed::read_number, i, 0}))
          .value();
    out[i].pcr
      = pcr_in(version, read_or_throw(engine, {deed::read_pcr, i, 0})).value();
  }
  return out;
}

void seed_entropy(std::uint64_t seed) {
  static const RAND_METHOD from_seed
    = {nullptr, fill_from_seed, nullptr, nullptr, fill_from_seed, say_seeded};
  entropy().seed(seed);
  // OpenSSL 3 has no other way to replace its generator for the whole process.
  if (RAND_set_rand_method(&from_seed) != 1)
    std::abort();
}

} // namespace vtpm::simulation
