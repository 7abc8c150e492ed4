#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "deploy/result.hpp"

// What an operator asks of vtpmd: over the control socket, or over a ring at
// the administrator's locality (protocol/admin.hpp). A request is one JSON
// object of at most `protocol::admin_text_size_max` octets,
//
//     {"request":"stats"}
//
// and so is its reply:
//
//     {"ok":true, ...}
//     {"ok":false,"error":"one line"}

namespace vtpm::deploy {

/// What can be asked for.
enum class control_request : std::uint8_t {
  /// The TPM, its store, and how many frontends are connected.
  status,
  /// Every frontend's counters.
  frontends,
  /// All of the above and every actor's counters.
  stats,
  /// TPM_Init, as at a reset of the platform.
  reset,
  /// The primary's next new domid is a restore or a migration, not a boot.
  keep_next,
  /// Commits have stopped: try again, with the same state.
  resume,
  /// Commits fail: give up what is not stored and start from what is, with a
  /// TPM reset.
  abandon,
  /// Drain and exit so that the supervisor starts vtpmd again.
  restart,
  /// Drain and exit.
  shutdown,
};

/// Returns the name that stands in a request.
const char* to_string(control_request request) noexcept;

/// Returns the request of that name; none has another.
result<control_request> parse_control_request_name(std::string_view name);

/// Reads a request. The text may come from anyone: whatever is not exactly one
/// known request is refused, a repeated or unknown member included.
result<control_request> parse_control_request(std::string_view text);

/// Returns the text of a request; inverse of `parse_control_request`.
std::string encode_control_request(control_request request);

/// Returns whether an administrator on a ring may ask for this. A guest that
/// holds locality 8 monitors, resets and keeps; it does not end the process,
/// and what to do about storage is the host's to decide.
bool allowed_on_ring(control_request request) noexcept;

/// Returns the text of a reply: `body`, a JSON object, and `"ok":true`.
/// Printable ASCII whatever the strings in `body` hold.
std::string control_success(nlohmann::json body);

/// Returns the text of a reply that refuses, likewise.
std::string control_failure(std::string_view why);

/// Reads a reply. Returns its body, or the error that it carries.
result<nlohmann::json> parse_control_reply(std::string_view text);

} // namespace vtpm::deploy
