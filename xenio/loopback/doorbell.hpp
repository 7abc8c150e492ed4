#pragma once

#include "xenio/errc.hpp"
#include "xenio/descriptor.hpp"

// A doorbell is a connected pair of SOCK_SEQPACKET sockets; each octet sent is
// one ring. Which end blocks is never asked: O_NONBLOCK belongs to the open
// file description, so whoever passed us an end could change it, and every call
// says MSG_DONTWAIT for itself.

namespace vtpm::xenio::loopback {

/// Both ends, connected to each other.
struct doorbell_pair {
  descriptor near_end;
  descriptor far_end;
};

result<doorbell_pair> make_doorbell();

/// Checks that a stranger's descriptor is one end of a local SOCK_SEQPACKET
/// pair that socketpair(2) made, else `errc::bad_channel`. A socket with a name
/// on either end may be connected to ourselves: kept, it would never end.
result<unit> check_doorbell(int socket);

/// Rings. Never waits; a peer that has not looked at so many rings that there
/// is no room has something to look at already. Returns `false` when nobody has
/// the other end any more.
bool ring(int socket) noexcept;

/// What was found in a doorbell.
struct rings {
  /// Rings taken out.
  unsigned count = 0;
  /// The other end is closed, or the socket is none that rings can come from.
  bool closed = false;
};

/// As many rings as one look takes, so that a storm on one doorbell keeps
/// nobody else waiting.
inline constexpr unsigned rings_max = 16;

/// Takes up to `most` rings out without waiting. Stops early only when it has
/// asked in vain, which costs a call: ask for one where one is likely.
rings drain(int socket, unsigned most = rings_max) noexcept;

} // namespace vtpm::xenio::loopback
