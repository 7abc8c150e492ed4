#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "actors/device.hpp"
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
  /// Invalid unless connected.
  ring_actor ring;
};

/// State of the SUPERVISOR actor.
struct supervisor_state {
  static inline const char* name = "supervisor";

  supervisor_parts parts;
  std::map<frontend_id, device> devices;
  xenio::store::watch_id root_watch = 0;
  bool draining = false;

  /// Ends the watches, whose handlers send to an actor that is gone, and the
  /// rings, which nobody else knows.
  ~supervisor_state();
};

/// Finds frontends through the store, connects and disconnects them as xenbus
/// prescribes, and owns one RING for each that is connected.
supervisor_actor::behavior_type supervisor(
  self_pointer<supervisor_state, supervisor_actor> self,
  supervisor_parts parts);

} // namespace vtpm::actors
