#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// They do not say that they are C.
extern "C" {
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>
}

namespace vtpm::xen_test {

using octets = std::vector<std::uint8_t>;

octets from_hex(const std::string& text);
std::string to_hex(const octets& data);

/// A frontend without a kernel driver and without manners: it does whatever a
/// test tells it to do to the page, the event channel and the store.
class raw_ring {
public:
  /// What a frontend writes into the page (xen/io/tpmif.h).
  static constexpr std::uint8_t idle = 0;
  static constexpr std::uint8_t submit = 1;
  static constexpr std::uint8_t finish = 2;
  static constexpr std::uint8_t cancel = 3;

  /// The page's fixed part, and what is left for a packet.
  static constexpr std::size_t header_size = 8;
  static constexpr std::size_t packet_max = 4096 - header_size;

  /// Finds the toolstack's nodes of this domain's vTPM, and makes a page and an
  /// event channel for its backend. Ends the program where that fails.
  explicit raw_ring(unsigned handle);

  ~raw_ring();

  raw_ring(const raw_ring&) = delete;
  raw_ring& operator=(const raw_ring&) = delete;

  /// Offers the page and waits for the backend. Returns whether it came.
  bool connect();

  /// Leaves as a driver that is unloaded does. Returns whether the backend is
  /// ready for the next one.
  bool close();

  /// Writes one of this frontend's own keys.
  void write_key(const char* name, const std::string& value);

  std::string backend_state();

  /// Waits for a state of the backend, ten seconds at most.
  bool wait_for_backend(const std::string& state);

  /// Puts a request into the page and rings.
  void place(std::uint8_t locality, const octets& packet, std::uint32_t length);

  void ring();

  /// Returns the page, that the backend has mapped as well.
  volatile std::uint8_t* page() {
    return page_;
  }

  std::uint8_t state() const {
    return page_[4];
  }

  void set_state(std::uint8_t value);

  /// Waits until the backend has put something into the page.
  /// @returns The response, empty for none; nullopt if nothing came in time.
  std::optional<octets> wait();

  /// One well-formed command and its answer.
  std::optional<octets> transact(std::uint8_t locality, const octets& packet);

private:
  std::string read(const std::string& path);

  std::string path_;
  std::string backend_path_;
  std::uint32_t backend_id_ = 0;
  xs_handle* store_;
  xengntshr_handle* grants_;
  xenevtchn_handle* events_;
  volatile std::uint8_t* page_ = nullptr;
  std::uint32_t grant_ = 0;
  evtchn_port_t port_ = 0;
};

} // namespace vtpm::xen_test
