#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "deploy/ctl/inspect.hpp"
#include "deploy/ctl/transfer.hpp"
#include "deploy/result.hpp"
#include "deploy/vtpmd/control_request.hpp"
#include "deploy/vtpmd/create_state.hpp"
#include "protocol/version.hpp"
#include "xenio/loopback/frontend.hpp"

namespace vtpm::deploy {

/// Asks a vtpmd through its control socket.
struct socket_route {
  std::string path;
};

/// A ring of a vtpmd on this machine.
struct loopback_ring {
  std::string path;
  xenio::loopback::identity who;
};

/// A ring of a vTPM domain.
struct xen_ring {
  xenio::domid domain;
  std::uint32_t handle;
};

/// Asks a vtpmd through a ring, at the administrator's locality.
struct ring_route {
  std::variant<loopback_ring, xen_ring> ring;
  /// Empty: find out.
  std::optional<tpm_version> version;
};

/// One question to a running vtpmd.
struct ask_command {
  control_request request;
  std::variant<socket_route, ring_route> route;
  /// Print the reply as it is.
  bool json = false;
};

/// Everything vtpmctl can be told: ask a vtpmd, or work on files without one.
using ctl_command = std::variant<ask_command, create_options, inspect_command,
                                 export_command, import_command>;

/// Reads the command line; see vtpmctl(8).
std::variant<ctl_command, early_exit> parse_ctl_options(
  int argc, const char* const* argv);

} // namespace vtpm::deploy
