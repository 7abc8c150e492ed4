#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/device.hpp"
#include "actors/log_limit.hpp"
#include "actors/platform.hpp"
#include "actors/reactor.hpp"
#include "actors/self.hpp"
#include "xenio/event_channels.hpp"
#include "xenio/grant_mapper.hpp"
#include "xenio/store.hpp"

namespace vtpm::actors {

/// What the SUPERVISOR is made of. The three interfaces outlive it.
struct supervisor_parts {
  xenio::store* store;
  xenio::grant_mapper* grants;
  xenio::event_channels* events;
  tpm_version version;
  std::vector<locality_rule> rules;
  tpm_actor tpm;
  control_actor control;
  stats_actor stats;
  /// Polls the pages of rings; null if nobody does.
  reactor* poller = nullptr;
  /// Which frontend's boots reset the TPM; see `platform`.
  std::optional<primary_rule> primary = {};
  /// What was known when the TPM was powered on, if it kept its PCRs.
  platform_memory memory = {};
  /// Gets every change of it, before the frontend behind the change is served;
  /// may be empty.
  std::function<void(const platform_memory&)> remember = {};
  /// What follows the TPM_Init of a boot.
  tpm::startup startup = tpm::startup::clear;
  /// Calls `on_unused` when nobody has come for so long since the last frontend
  /// went; never if there is no limit, or before there was one.
  std::optional<std::chrono::seconds> unused_limit = {};
  std::function<void()> on_unused = {};
  /// Null if there is none.
  std::shared_ptr<tpm::shadow> shadow = {};
  /// A toolstack waits for the state InitWait of each device that it makes.
  bool is_awaited = false;
};

/// One frontend's device, from the appearance of its node to its end.
struct device {
  /// Below the own domain's home.
  std::string backend_path;
  /// As the backend's node names it; empty until read.
  std::string frontend_path;
  std::optional<xenio::store::watch_id> frontend_watch;
  /// One look at the nodes at a time; what changes meanwhile asks for another.
  bool examining = false;
  bool changed_meanwhile = false;
  /// The backend's state as we wrote it last.
  xenio::xenbus_state written = xenio::xenbus_state::unknown;
  /// What we are connected with, or refused.
  std::optional<connection_offer> offer;
  bool refused = false;
  xenio::xenbus_state last_seen = xenio::xenbus_state::unknown;
  /// As the backend's node has it, in canonical form.
  std::string uuid;
  /// The toolstack removes it.
  bool offline = false;
  /// The number of this removal, so that the timer of an earlier one, under the
  /// same handle, means nothing to it.
  std::uint64_t removal = 0;
  bool closed_for_long = false;
  /// Set until the toolstack has seen that it was announced; the number as that
  /// of a removal.
  bool announced_just_now = false;
  std::uint64_t announcement = 0;
  /// Invalid unless connected.
  ring_actor ring;
  /// What its earlier rings counted, and its refusals.
  frontend_counters past;
  /// Set while a `changed_atom` for this device is on its way: a guest can
  /// write its nodes as fast as it likes.
  std::shared_ptr<bool> told = std::make_shared<bool>(false);
};

/// State of the SUPERVISOR actor.
struct supervisor_state {
  static inline const char* name = "supervisor";

  supervisor_parts parts;
  std::map<frontend_id, device> devices;
  /// Rings told to end that still have page and event channel, and may still
  /// send commands. Their frontends are not connected again before they have.
  std::map<caf::actor_addr, frontend_id> ending;
  xenio::store::watch_id root_watch = 0;
  platform machine;
  /// Frontends of a primary that has booted: connected after the reset that is
  /// under way while there are any.
  std::set<frontend_id> awaiting_reset;
  std::uint64_t boot_resets = 0;
  /// Devices that are gone, and their counters together.
  std::uint64_t gone = 0;
  frontend_counters gone_counters;
  /// Counts how often the toolstack removed a device.
  std::uint64_t removals = 0;
  /// Counts how often a device that the toolstack had made was announced.
  std::uint64_t announcements = 0;
  /// Counts how often the last frontend went.
  std::uint64_t desertions = 0;
  bool draining = false;
  /// Guests can come and go as fast as they like.
  log_limit comings{50};

  /// Ends the watches, whose handlers send to an actor that is gone, and the
  /// rings, which nobody else knows.
  ~supervisor_state();
};

using supervisor_self = self_pointer<supervisor_state, supervisor_actor>;

/// Finds frontends through the store, connects and disconnects them as xenbus
/// prescribes, and owns one RING for each that is connected.
supervisor_actor::behavior_type supervisor(supervisor_self self,
                                           supervisor_parts parts);

} // namespace vtpm::actors
