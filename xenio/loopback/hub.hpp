#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "xenio/errc.hpp"
#include "xenio/event_loop.hpp"
#include "xenio/hypervisor.hpp"
#include "xenio/types.hpp"

namespace vtpm::xenio::loopback {

/// Lets processes of a user claim frontends. An empty field is any; a uuid is
/// 36 characters in either case.
struct claim_rule {
  uid_t uid;
  std::optional<domid> domain;
  std::optional<std::uint32_t> handle;
  std::optional<std::string> uuid;
};

/// Bounds on what unknown processes may cost us.
struct hub_limits {
  /// Frontends connected or connecting at once. Each takes up to three
  /// descriptors, its connection and its doorbells; see RLIMIT_NOFILE
  /// (getrlimit(2)).
  std::size_t frontends_max = 1024;
};

/// Stands in for the hypervisor and XenStore between vtpmd and processes of
/// this machine: listens on a Unix socket, checks who may claim what, and is
/// the three interfaces for them. All on the event loop's thread.
class hub : public hypervisor {
public:
  /// Listens on `socket_path` (0660; a stale socket is replaced, a live one is
  /// an error).
  /// @param rules Who may claim what; empty: the own uid may claim anything.
  static result<std::unique_ptr<hub>> listen(event_loop& loop,
                                             const std::string& socket_path,
                                             std::vector<claim_rule> rules,
                                             hub_limits limits = {});
};

} // namespace vtpm::xenio::loopback
