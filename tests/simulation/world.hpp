#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "tests/simulation/ledger.hpp"
#include "tests/simulation/process.hpp"
#include "xenio/simulated/guest.hpp"

// Fault model, beside that of tests/tpm/lying_disk.hpp. At any step, where a
// step is one message of one actor, one event of the hypervisor, one act of a
// guest or one word of the disk:
//
// - power is cut: guests, pages and what the disk has not made durable are lost
// - the process dies: guests, pages and what it has written so far stay
// - a slot write fails, after any of its sectors were written, once or until
//   the TPM has failed stop; syncing fails at a start
// - a slot write lands in the other slot and is reported durable
// - a key authority that keeps records does not answer, and has replaced its
//   record or not
// - a guest cancels, sends garbage, rings for nothing, or dies; its doorbell is
//   lost or comes twice
// - vtpmd drains; the platform is reset
//
// What has to hold: a TPM that is switched on holds what its guests were told,
// each plus at most the command under way; no response contradicts the ones
// before it, whoever they went to; without faults every command is answered;
// the state opens, unless a misdirected write has damaged it.

namespace vtpm::simulation {

/// What happened in one or more worlds.
struct tally {
  std::uint64_t worlds = 0;
  std::uint64_t power_cuts = 0;
  std::uint64_t deaths = 0;
  std::uint64_t steps = 0;
  std::uint64_t answers = 0;
  std::uint64_t failed_writes = 0;
  std::uint64_t misdirected = 0;
  /// Starts that were refused, rightly.
  std::uint64_t refusals = 0;

  std::uint64_t cuts() const noexcept {
    return power_cuts + deaths;
  }

  tally& operator+=(const tally& other) noexcept;
};

/// How a life ends.
enum class ending : std::uint8_t {
  power_cut,
  death,
};

/// One TPM, its disk and its guests through many lives, all from one seed.
class world {
public:
  /// Lives in one world, that is cuts.
  static constexpr unsigned lives = 24;

  /// @param guests How many; 0 lets the seed decide.
  world(const engine_kit& kit, std::uint64_t seed, unsigned guests = 0);

  /// Lives them all; throws `broken_promise`.
  void run();

  // -- for a world that is cut where a test wants it --------------------------

  /// Opens the state, compares, and brings the guests back. Returns `false`
  /// when the state is rightly refused.
  bool begin_life();

  /// Lets one thing happen.
  void step();

  void end_life(ending how);

  /// The same in every way that the disk may take it, one after the other:
  /// begins the next life after each, and stays in the last. Returns how many
  /// ways there were.
  std::uint64_t end_life_every_way(ending how);

  /// No faults in this world, but for the ends of lives.
  void be_kind() noexcept {
    kind_ = true;
  }

  const tally& done() const noexcept {
    return done_;
  }

private:
  /// One guest domain. What it keeps in its TPM is the ledger's to know.
  struct player {
    std::unique_ptr<xenio::simulated::guest> guest;
    bool is_published = false;
  };

  /// What a power cut ends.
  struct machine {
    xenio::simulated::loop loop;
    xenio::simulated::hypervisor xen{loop};
    std::vector<player> players;
  };

  std::uint64_t pick(std::uint64_t bound) {
    return random_() % bound;
  }

  /// True once in `times`, unless the world is kind.
  bool bad_luck(std::uint64_t times) {
    return !kind_ && pick(times) == 0;
  }

  void create_state();
  void boot_machine();
  void stop_process(ending how);
  void lose(ending how);
  bool may_be_refused() const noexcept;
  deed choose_deed();
  command choose_command(unsigned guest);
  void play(unsigned guest);
  void look(unsigned guest);
  void use_disk();
  void complete_write();
  void misdirect_write();
  void run_to_end();
  void finish();

  const engine_kit& kit_;
  std::mt19937_64 random_;
  unsigned guests_;
  tests::deterministic_system actors_;
  tests::lying_disk disk_;
  key_keeper keys_;
  actors::retry_policy retries_;
  std::unique_ptr<machine> machine_;
  std::unique_ptr<process> process_;
  std::optional<ledger> ledger_;
  /// Of a TPM 1.2.
  unsigned nv_writes_left_ = nv_writes_max_1_2;
  /// Slots that a misdirected write has spoilt.
  std::array<bool, 2> spoilt_{};
  bool kind_ = false;
  /// Of this life.
  bool write_failed_ = false;
  bool draining_ = false;
  tally done_;
};

} // namespace vtpm::simulation
