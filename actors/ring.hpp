#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "actors/doorbell.hpp"
#include "actors/log_limit.hpp"
#include "actors/polled_page.hpp"
#include "actors/self.hpp"
#include "tpm/shadow.hpp"
#include "xenio/shared_page.hpp"

namespace vtpm::actors {

/// What a RING actor is made of.
struct ring_parts {
  frontend_id id;
  std::string uuid;
  tpm_version version;
  locality_set allowed;
  std::unique_ptr<xenio::shared_page> page;
  std::unique_ptr<doorbell> bell;
  /// Null unless the reactor polls pages; ends before `page`.
  std::unique_ptr<polled_page> polled;
  /// Null if there is none.
  std::shared_ptr<tpm::shadow> shadow;
  /// Gets what the ring has counted when it ends; may be empty.
  std::function<void(const frontend_counters&)> farewell = {};
};

/// The request under way, as far as the answer needs it. Taken from one
/// snapshot of the page: what the guest writes there later changes nothing.
struct request_under_way {
  std::size_t packet_offset;
  std::size_t packet_size_max;
  std::uint32_t ordinal;
  std::uint8_t locality;
  tpm::request_print print;
  bool cancel_sent;
  std::chrono::steady_clock::time_point taken;
};

/// State of the RING actor. Invariants:
///
/// - at most one request is under way; the page's packet is read before it
///   starts and written after it ends, and not touched between
/// - the state octet is written by us only as an answer to SUBMIT or CANCEL
/// - the shadow has a response before the page has any of it, and knows how far
///   its copy has come
struct ring_state {
  static inline const char* name = "ring";

  ring_parts parts;
  tpm_actor tpm;
  control_actor control;

  std::optional<request_under_way> current;
  /// The page has been looked at: what it holds since is new.
  bool acquainted = false;
  /// Set by a drain: takes no more requests.
  bool draining = false;
  caf::typed_response_promise<done_atom> drained;

  /// The last control request through the administrator's gate and its reply,
  /// which is read page by page.
  std::string admin_text;
  std::string admin_reply;

  frontend_counters counters;
  /// A guest can make refusals as fast as it likes.
  log_limit refusals{1};

  /// Answers a drain that is still waiting, and says farewell.
  ~ring_state();
};

/// Speaks the backend's half of tpmif with one frontend: takes requests out of
/// the page, refuses what is malformed or not allowed, hands the rest to `tpm`,
/// puts the released responses back. What an earlier vtpmd left in the page is
/// answered as the shadow tells, so that no command has its effect twice.
/// @param control Answers the administrator's gate.
ring_actor::behavior_type ring(self_pointer<ring_state, ring_actor> self,
                               ring_parts parts, tpm_actor tpm,
                               control_actor control);

} // namespace vtpm::actors
