#pragma once

#include <string>

#include "actors/supervisor.hpp"

// The SUPERVISOR's dealings with the store: where frontends are, what their
// nodes hold, and what it writes there.

namespace vtpm::actors {

/// Watches for devices from now on; those that are there are found as well.
void discover(supervisor_self self);

/// A watch fired at or below `path`: a device's node, or one above it.
void changed(supervisor_self self, const std::string& path);

/// The names below a node of the backend's directory have come.
void listed(supervisor_self self, const directory_listing& listing);

/// Asks for what the device's nodes hold. The frontend's are included as soon
/// as its path is known.
void examine(supervisor_self self, const frontend_id& id, device& dev);

/// Learns where the frontend's nodes are, and watches its state.
void learn_frontend_path(supervisor_self self, const frontend_id& id,
                         device& dev, const std::string& path);

/// Publishes our features, state InitWait: the toolstack waits for it.
void announce(supervisor_self self, device& dev);

/// Writes the backend's state.
void write_state(supervisor_self self, device& dev, xenio::xenbus_state state);

} // namespace vtpm::actors
