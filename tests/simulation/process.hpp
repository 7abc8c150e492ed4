#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "actors/interfaces.hpp"
#include "actors/persistence.hpp"
#include "actors/stats.hpp"
#include "tests/actors/deferred_worker.hpp"
#include "tests/deterministic_system.hpp"
#include "tests/simulation/engines.hpp"
#include "tests/tpm/lying_disk.hpp"
#include "xenio/simulated/hypervisor.hpp"
#include "xenio/simulated/loop.hpp"

namespace vtpm::simulation {

/// Who keeps the keys, in a place that outlives power cuts: `local` with its
/// one secret, or an authority with a record of the newest slot.
struct key_keeper {
  bool keeps_records = false;
  tpm::local_key secret;
  std::optional<tpm::key_record> record;
  /// Says whether the next replacement is not answered, although it may have
  /// been made.
  std::function<bool()> is_away;
  std::function<bool()> is_made_all_the_same;
};

/// What a vtpmd process finds when it starts.
struct surroundings {
  tests::deterministic_system& actors;
  tests::lying_disk& disk;
  key_keeper& keys;
  xenio::simulated::hypervisor& xen;
};

/// One life of a vtpmd: every actor the real one, put together as in
/// deploy/vtpmd/domain.cpp. Nothing happens unless the simulator says so.
class process {
public:
  /// Opens the state and switches the TPM on.
  /// @param look Sees the TPM before any guest does.
  static tpm::result<std::unique_ptr<process>> start(
    surroundings around, const engine_kit& kit, actors::retry_policy retries,
    const std::function<void(tpm::engine&)>& look);

  /// Dies, if it has not yet.
  ~process();

  process(const process&) = delete;
  process& operator=(const process&) = delete;

  /// Ends every actor wherever it stands; the disk loses no more than the
  /// process would. The guests' pages may be scribbled on: what dying actors
  /// write never happened.
  void die();

  /// The slot write under way ends, one way or another.
  template <class F>
  void end_write(F how) {
    how(*committer_);
    caf::anon_send(store_, actors::written_atom_v);
  }

  bool is_writing() const noexcept {
    return committer_->busy();
  }

  tests::deferred_worker& worker() noexcept {
    return *worker_;
  }

  void drain();

  /// Tells a TPM that has failed stop to go on.
  void resume();

  void reset_platform();

private:
  process(surroundings around, std::unique_ptr<tpm::state_store> store,
          tpm::powered_engine powered, actors::retry_policy retries);

  tests::deterministic_system& actors_;
  tests::lying_disk& disk_;
  std::shared_ptr<tests::deferred_worker> worker_
    = std::make_shared<tests::deferred_worker>();
  tests::scripted_committer* committer_ = nullptr;
  bool alive_ = true;

  actors::key_authority_actor authority_;
  actors::persistence_actor store_;
  actors::response_actor gate_;
  actors::tpm_actor executor_;
  actors::control_actor control_;
  actors::stats_actor stats_;
  actors::supervisor_actor supervisor_;
};

} // namespace vtpm::simulation
