#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/messages.hpp"

namespace vtpm::actors {

/// What a frontend offers to connect with.
struct connection_offer {
  xenio::grant_ref ring_ref;
  xenio::port event_channel;

  friend bool operator==(const connection_offer&, const connection_offer&)
    = default;
};

/// Reads the state that a `state` node holds; `unknown` if it holds none.
xenio::xenbus_state parse_xenbus_state(
  const device_nodes::value& text) noexcept;

/// Reads the offer in `nodes`, or says in `problem` what is wrong with it. The
/// guest may have written anything.
std::optional<connection_offer> parse_offer(const device_nodes& nodes,
                                            std::string& problem);

/// Returns the names in a path of the store.
std::vector<std::string> split_path(std::string_view path);

/// All that the next step depends on.
struct device_view {
  bool backend_exists = false;
  /// The toolstack wants the device to exist.
  bool online = false;
  /// As the store has it; the toolstack may write it too.
  xenio::xenbus_state backend = xenio::xenbus_state::unknown;
  /// The backend's state as we wrote it last.
  xenio::xenbus_state written = xenio::xenbus_state::unknown;
  xenio::xenbus_state frontend = xenio::xenbus_state::unknown;
  bool connected = false;
  /// The frontend's offer is the one we are connected with, or refused.
  bool same_offer = false;
  /// The offer on record was refused.
  bool refused = false;
  /// The toolstack leaves it to us to remove the backend's node: we are not in
  /// domain 0.
  bool ours_to_remove = false;
  /// It was closed so long ago that the toolstack has seen it.
  bool closed_for_long = false;
  /// It was announced so recently that the toolstack may not have seen it.
  bool announced_just_now = false;
  /// The frontend was Connected when last seen and is Initialised now: it has
  /// started anew, perhaps under the same numbers.
  bool restarted = false;
};

/// What to do about one device.
enum class device_step : std::uint8_t {
  nothing,
  /// The node is gone: disconnect and forget the device.
  forget,
  /// The toolstack removes the device: disconnect, state Closed.
  close,
  /// The toolstack has seen it closed: remove the backend's node.
  remove,
  /// Publish our features, state InitWait; disconnect first.
  announce,
  /// Connect with the frontend's offer, in place of an older connection.
  connect,
  /// The frontend is leaving: disconnect, state Closing.
  follow_closing,
};

/// Decides. The whole of xenbus' handshake from the backend's side
/// (xen/include/public/io/tpmif.h and xenbus.h), restated:
///
///     frontend                      connected         not connected
///     Initialising, InitWait        announce          announce, once
///     Initialised, Connected        connect if the    connect, unless this
///                                   offer is new      offer was refused;
///                                                     announce first
///     Closing                       follow_closing    follow_closing, once
///     Closed, unreadable            announce          announce, once
///
/// libxl sets `online` to 0 and waits for Closed; where the backend is not in
/// domain 0, also for the end of the backend's node, which must not come before
/// it has seen Closed. When it makes a device it waits for InitWait, and for no
/// other state: a driver that runs already, and offers its ring at once, is not
/// connected before the toolstack has seen that.
///
/// A frontend that starts anew need not have closed (kexec, crash kernel). A
/// backend node in Initialising was just made, or made anew.
device_step next_step(const device_view& view) noexcept;

} // namespace vtpm::actors
