#pragma once

#include <optional>

#include "deploy/result.hpp"
#include "protocol/bytes.hpp"

namespace vtpm::deploy {

/// Cuts a raw stream of TPM commands, one after the other and nothing between,
/// into commands, by the size field of their headers. Holds at most one
/// command's worth of octets more than it was last given.
class command_framer {
public:
  /// Appends octets as they came, however they were split.
  void push(byte_view octets);

  /// Removes the next command and returns it; nothing while it is incomplete. A
  /// size below the header's own or above `protocol::packet_size_max` is a
  /// problem that stays: where the next command starts is unknown from then on.
  result<std::optional<byte_vector>> next();

  /// Returns whether a part of a command is left.
  bool incomplete() const noexcept {
    return !buffer_.empty();
  }

private:
  byte_vector buffer_;
};

} // namespace vtpm::deploy
