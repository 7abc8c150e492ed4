// Goal: the model TPM and libtpms say the same to the simulator's commands.

#include <doctest/doctest.h>

#include "deploy/bench/tpm20_commands.hpp"
#include "tests/simulation/engines.hpp"
#include "tests/simulation/model_engine.hpp"

using namespace vtpm;
using namespace vtpm::simulation;

namespace {

/// Runs a command that has to succeed.
void run(tpm::engine& engine, const command& asked) {
  REQUIRE(result_of(engine.execute(0, encode(engine.version(), asked)).response)
          == 0);
}

/// Lets two guests do what guests do, and compares with what `after` says.
void live(engine_kind kind) {
  const auto kit = make_kit(kind);
  auto powered = power_on(kit, kit.base);
  REQUIRE(powered);
  auto& engine = *powered->instance;
  const auto version = engine.version();
  auto known = observe(engine, guests_max);
  const auto does = [&](deed what, unsigned guest, std::uint64_t value = 0) {
    const auto asked = command{what, guest, value};
    run(engine, asked);
    known[guest] = after(version, known[guest], asked);
    CHECK(observe(engine, guests_max) == known);
  };
  if (version == tpm_version::v2_0) {
    does(deed::increment, 0);
    does(deed::increment, 0);
    does(deed::increment, 5);
  }
  does(deed::write, 1, 77);
  does(deed::extend, 1, 1);
  does(deed::extend, 1, 2);
  does(deed::extend, 5, 3);
  CHECK(result_of(engine.execute(0, encode(version, {})).response) != 0);

  // A power cut.
  const auto kept = engine.current();
  powered->instance.reset();
  powered = power_on(kit, kept);
  REQUIRE(powered);
  for (auto& each : known)
    each.pcr = {};
  CHECK(observe(*powered->instance, guests_max) == known);
}

} // namespace

TEST_SUITE("simulation/engines") {
  TEST_CASE("the model does what the commands say") {
    live(engine_kind::model);
  }

  TEST_CASE("libtpms 2.0 does what the commands say") {
    live(engine_kind::tpm20);
  }

  TEST_CASE("libtpms 1.2 does what the commands say") {
    live(engine_kind::tpm12);
  }

  TEST_CASE("what libtpms calls random comes from the seed") {
    const auto kit = make_kit(engine_kind::tpm20);
    const auto draw = [&](std::uint64_t seed) {
      seed_entropy(seed);
      auto powered = power_on(kit, kit.base);
      REQUIRE(powered);
      return powered->instance->execute(0, deploy::tpm20::get_random())
        .response;
    };
    CHECK(draw(1) == draw(1));
    CHECK(draw(1) != draw(2));
  }

  TEST_CASE("the model notices an extend after an orderly shutdown") {
    const auto kit = make_kit(engine_kind::model);
    auto powered = power_on(kit, kit.base);
    REQUIRE(powered);
    CHECK(powered->changed == nullptr);
    auto& engine = *powered->instance;
    const auto extend = encode(engine.version(), {deed::extend, 0, 1});
    CHECK(engine.execute(0, extend).changed != nullptr);
    CHECK(engine.execute(0, extend).changed == nullptr);
    const auto prepared = engine.prepare_exit();
    REQUIRE(prepared);
    CHECK(*prepared != nullptr);
    CHECK(engine.execute(0, extend).changed != nullptr);
    const auto disorderly = power_on(kit, engine.current());
    REQUIRE(disorderly);
    CHECK(disorderly->changed != nullptr);
  }

  TEST_CASE("the model's volatile state comes back") {
    const auto kit = make_kit(engine_kind::model);
    auto powered = power_on(kit, kit.base);
    REQUIRE(powered);
    run(*powered->instance, {deed::extend, 3, 9});
    const auto found = observe(*powered->instance, guests_max);
    const auto kept = powered->instance->volatile_state();
    REQUIRE(kept);
    auto again = power_on_model(powered->instance->current(), *kept);
    REQUIRE(again);
    CHECK(observe(*again->instance, guests_max) == found);
  }
}
