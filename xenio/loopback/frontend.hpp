#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "xenio/frontend.hpp"

namespace vtpm::xenio::loopback {

/// Who a loopback frontend says it is. Which of it a process may claim is for
/// vtpmd's configuration to say.
struct identity {
  domid domain = 1;
  std::uint32_t handle = 0;
  /// 36 characters.
  std::string uuid = "00000000-0000-0000-0000-000000000000";
};

/// Connects to vtpmd's loopback socket and goes through the xenbus states until
/// both sides are Connected.
/// @param socket_path Path of vtpmd's `--listen` socket.
/// @param limit How long the handshake may take.
result<std::unique_ptr<frontend>> connect(const std::string& socket_path,
                                          const identity& who,
                                          std::chrono::milliseconds limit
                                          = std::chrono::seconds{5});

} // namespace vtpm::xenio::loopback
