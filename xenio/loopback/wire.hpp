#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "protocol/bytes.hpp"
#include "xenio/errc.hpp"
#include "xenio/types.hpp"

// What a loopback frontend and vtpmd tell each other over the SOCK_SEQPACKET
// socket that vtpmd listens on. One packet is one message; integers are
// little-endian; the first octet is the kind; every size is exact.
//
//   frontend                                vtpmd
//      | claim        domid, handle, uuid     |   checks the peer's uid
//      |------------------------------------->|
//      |      accepted, or refusal and close  |   makes the device's nodes
//      |<-------------------------------------|
//      | page         number + memfd          |
//      | doorbell     number + socket         |
//      | node         ring-ref = number       |
//      | node         event-channel = number  |
//      | node         feature-protocol-v2 = 1 |
//      | node         state = 3               |
//      |------------------------------------->|   the backend connects
//      |              node         state = 4  |
//      |<-------------------------------------|
//
// From then on both sides send `node` for each change of their own nodes, as
// XenStore would carry it. The end of the connection is the end of the guest:
// vtpmd removes its nodes. A page or doorbell offered under a number in use
// replaces it. Requests and responses never pass here: they are in the page,
// and the doorbell carries one octet per ring.

namespace vtpm::xenio::loopback::wire {

/// Goes up when a message changes its form.
inline constexpr std::uint8_t version = 1;

inline constexpr std::size_t uuid_size = 36;

/// The names that both sides use are shorter ("feature-protocol-v2").
inline constexpr std::size_t key_size_max = 32;

/// Numbers and flags; what a guest writes beyond that, no backend wants.
inline constexpr std::size_t value_size_max = 128;

/// A sentence.
inline constexpr std::size_t reason_size_max = 256;

/// First message of a frontend:
/// 1 | version | u16 domid | u32 handle | 36 characters uuid
struct claim {
  static constexpr std::size_t encoded_size = 1 + 1 + 2 + 4 + uuid_size;
  std::uint8_t version;
  domid domain;
  std::uint32_t handle;
  /// Lower-case; decoding accepts either case.
  std::string uuid;
  friend bool operator==(const claim&, const claim&) = default;
};

/// Offers a page, with one descriptor: 2 | 0 | 0 | 0 | u32 number
struct page {
  static constexpr std::size_t encoded_size = 1 + 3 + 4;
  grant_ref number;
  friend bool operator==(const page&, const page&) = default;
};

/// Offers a doorbell, with one descriptor: 3 | 0 | 0 | 0 | u32 number
struct doorbell {
  static constexpr std::size_t encoded_size = 1 + 3 + 4;
  port number;
  friend bool operator==(const doorbell&, const doorbell&) = default;
};

/// One of the sender's nodes has changed:
/// 4 | key size | value size | absent: 0 or 1 | key | value
struct node {
  static constexpr std::size_t header_size = 1 + 1 + 1 + 1;
  std::string key;
  /// Nothing: the node was removed.
  std::optional<std::string> value;
  friend bool operator==(const node&, const node&) = default;
};

/// The claim holds: 5 | version
struct accepted {
  static constexpr std::size_t encoded_size = 1 + 1;
  std::uint8_t version;
  friend bool operator==(const accepted&, const accepted&) = default;
};

/// Why vtpmd ends a connection. The values are on the wire.
enum class refusal_code : std::uint8_t {
  /// A message that is none, or out of place, or of another version.
  malformed = 1,
  /// No rule lets this user claim that frontend.
  denied = 2,
  /// Another process has that frontend.
  claimed = 3,
  /// Another process had it and the backend is not yet done with that one: ask
  /// again.
  closing = 4,
  /// As many frontends as vtpmd serves are there already.
  full = 5,
};

/// 6 | refusal_code | reason size, 2 octets | reason
struct refusal {
  static constexpr std::size_t header_size = 1 + 1 + 2;
  refusal_code code;
  std::string reason;
  friend bool operator==(const refusal&, const refusal&) = default;
};

using message = std::variant<claim, page, doorbell, node, accepted, refusal>;

/// Upper bound on every message.
inline constexpr std::size_t message_size_max
  = refusal::header_size + reason_size_max;
static_assert(claim::encoded_size <= message_size_max);
static_assert(node::header_size + key_size_max + value_size_max
              <= message_size_max);

/// Returns the wire form.
/// @pre Texts are within their limits.
byte_vector encode(const message& content);

/// Reads one message; what is not exactly one yields `errc::protocol`.
result<message> decode(byte_view packet);

} // namespace vtpm::xenio::loopback::wire
