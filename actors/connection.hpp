#pragma once

#include <string>

#include "actors/supervisor.hpp"
#include "protocol/log.hpp"

// The SUPERVISOR's rings: how a frontend gets one, and what becomes of both.

namespace vtpm::actors {

/// One line per event; not more of them than an operator can read.
void note(supervisor_self self, spdlog::level::level_enum level,
          const frontend_id& id, const std::string& what);

/// Connects with the frontend's offer, in place of an older connection.
void connect(supervisor_self self, device& dev, const device_nodes& nodes);

/// Ends the connection: the ring lets go of page and event channel as it exits;
/// `ring_ended` does the rest.
void disconnect(supervisor_self self, const frontend_id& id, device& dev,
                const char* why);

/// Closes the backend's side, until the frontend has another offer.
void refuse(supervisor_self self, const frontend_id& id, device& dev,
            const std::string& why);

/// A ring that was told to end has: whatever it had under way is for nobody
/// now, and its frontend may be connected again. A ring that ends by itself is
/// a bug of ours; its frontend is told to start over, and the others go on.
void ring_ended(supervisor_self self, const caf::down_msg& down);

} // namespace vtpm::actors
