#pragma once

#include <chrono>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "xenio/errc.hpp"
#include "xenio/descriptor.hpp"
#include "xenio/loopback/doorbell.hpp"
#include "xenio/loopback/frontend.hpp"
#include "xenio/loopback/page_mapping.hpp"
#include "xenio/loopback/wire.hpp"

// A frontend taken apart, for whoever wants to go through the handshake step by
// step, or wrongly: `connect` is built on it, and so are tests' bad guests.

namespace vtpm::xenio::loopback {

/// The frontend's own page: to share as a file, to use as memory.
class guest_page final : public shared_page {
public:
  static result<std::unique_ptr<guest_page>> make();

  /// Returns the memory file to offer.
  int file() const noexcept {
    return file_.get();
  }

  /// Returns the page itself: `protocol::page_size` octets.
  std::uint8_t* octets() const noexcept {
    return page();
  }

private:
  guest_page(descriptor file, std::shared_ptr<page_mapping> mapping) noexcept
    : shared_page(mapping->octets()),
      file_(std::move(file)),
      mapping_(std::move(mapping)) {
    // nop
  }

  descriptor file_;
  std::shared_ptr<page_mapping> mapping_;
};

/// One connection to vtpmd's socket. Nothing here waits unless it takes a
/// limit.
class raw_frontend {
public:
  /// Connects, and says nothing yet.
  static result<raw_frontend> open(const std::string& socket_path);

  /// Claims a frontend and waits for the answer; `errc::refused` with vtpmd's
  /// own words when it says no.
  result<unit> claim(const identity& who, std::chrono::milliseconds limit);

  /// Sends any octets with any descriptors.
  result<unit> send(byte_view octets, std::span<const int> descriptors = {});

  result<unit> offer_page(grant_ref number, int file);

  result<unit> offer_doorbell(port number, int socket);

  /// Writes one of the frontend's nodes.
  result<unit> write(std::string_view key, std::string_view value);

  result<unit> write_state(xenbus_state state);

  /// Offers both under new numbers and writes the nodes that tell the backend
  /// of them, then state 3 (Initialised).
  result<unit> publish(int page_file, int doorbell_socket);

  /// Takes in what vtpmd has sent so far, without waiting.
  result<unit> update();

  /// Waits until the backend's state is one of `wanted`. `errc::gone` when the
  /// connection ends before.
  result<unit> await(std::initializer_list<xenbus_state> wanted,
                     std::chrono::milliseconds limit);

  /// Returns whether vtpmd has accepted the claim.
  bool is_accepted() const noexcept {
    return is_accepted_;
  }

  /// Returns the backend's state as far as it was heard of.
  xenbus_state backend_state() const noexcept {
    return backend_state_;
  }

  /// Returns whether the backend speaks tpmif version 2.
  bool backend_speaks_v2() const noexcept {
    return backend_speaks_v2_;
  }

  /// Returns why vtpmd ended the connection, if it said so.
  const std::optional<wire::refusal>& refusal() const noexcept {
    return refusal_;
  }

  int socket() const noexcept {
    return socket_.get();
  }

private:
  explicit raw_frontend(descriptor socket) noexcept
    : socket_(std::move(socket)) {
    // nop
  }

  result<unit> take(const wire::message& message);

  /// Takes in messages until `done` holds.
  template <class Predicate>
  result<unit> wait(Predicate done, std::chrono::milliseconds limit,
                    const char* what);

  descriptor socket_;
  bool is_accepted_ = false;
  xenbus_state backend_state_ = xenbus_state::unknown;
  bool backend_speaks_v2_ = false;
  std::optional<wire::refusal> refusal_;
};

} // namespace vtpm::xenio::loopback
