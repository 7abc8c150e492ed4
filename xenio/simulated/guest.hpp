#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "protocol/bytes.hpp"
#include "protocol/tpmif.hpp"
#include "xenio/shared_page.hpp"
#include "xenio/simulated/hypervisor.hpp"
#include "xenio/types.hpp"

namespace vtpm::xenio::simulated {

/// One guest with one vTPM device, made of verbs. Everything it does takes
/// effect at once; what the backend makes of it comes through the loop:
///
///     simulated::loop loop;
///     simulated::hypervisor xen{loop};
///     ... a backend on xen.grants(), xen.events(), xen.store() ...
///     simulated::guest guest{xen, 7};
///     guest.publish();
///     loop.run_until_idle();
///     guest.submit(0, request);
///     loop.run_until_idle();
///     auto response = guest.take_response();
class guest {
public:
  /// The toolstack attaches the device: its nodes are there, both states 1.
  guest(hypervisor& xen, domid domain, std::uint32_t handle = 0,
        std::string uuid = "00000000-0000-0000-0000-000000000000");

  guest(const guest&) = delete;
  guest& operator=(const guest&) = delete;

  /// Dies, if it has not yet.
  ~guest();

  // -- the device -------------------------------------------------------------

  /// Grants the page, opens a port, both under new numbers, and writes the
  /// nodes that say so and `state`. Mini-os says 4 where Linux says 3. A page
  /// that was granted before keeps its content, as after a restart of the
  /// backend.
  void publish(xenbus_state state = xenbus_state::initialised);

  /// Takes another, zeroed page, to be published next: kexec, resume, reload.
  void renew_page();

  /// Writes the frontend's state and nothing else.
  void set_state(xenbus_state state);

  /// Goes Closing, then Closed.
  void close();

  /// The domain is destroyed: nodes, grant and port are gone. What the backend
  /// has mapped stays mapped.
  void die();

  bool is_alive() const noexcept {
    return is_alive_;
  }

  /// Returns the backend's state, as its node says.
  xenbus_state backend_state() const;

  // -- requests ---------------------------------------------------------------

  /// Writes a request into the page, SUBMIT, and rings.
  /// @pre It fits into the page.
  void submit(std::uint8_t locality, byte_view request);

  /// Writes any header and any octets after its extra pages, as far as they
  /// fit, and rings. Not checked in any way.
  void submit_raw(const protocol::page_header& header, byte_view octets);

  /// Writes CANCEL and rings.
  void cancel();

  /// Rings for nothing.
  void ring(unsigned times = 1);

  /// Returns what the state octet says.
  std::uint8_t state() const noexcept;

  /// Returns the response to the last `submit`, once; nothing when there is
  /// none yet, or none at all because it was cancelled (the state is IDLE).
  std::optional<byte_vector> take_response();

  // -- looking at it ----------------------------------------------------------

  /// How often the backend rang.
  std::size_t rings = 0;

  /// Runs when the backend rings.
  std::function<void()> on_ring;

  /// The page, to be read, scribbled on, or hooked (`before_read`).
  page_memory& page() noexcept {
    return *memory_;
  }

  domid domain() const noexcept {
    return domain_;
  }

  std::uint32_t handle() const noexcept {
    return handle_;
  }

  const std::string& uuid() const noexcept {
    return uuid_;
  }

private:
  /// The guest's own view of its page.
  class own_view final : public shared_page {
  public:
    explicit own_view(page_memory& memory) : shared_page(memory.octets.data()) {
      // nop
    }
  };

  void write(std::string_view key, std::string_view value);

  /// Ends the grant and closes the port, if there are any.
  void withdraw();

  hypervisor& xen_;
  domid domain_;
  std::uint32_t handle_;
  std::string uuid_;
  std::shared_ptr<page_memory> memory_ = std::make_shared<page_memory>();
  grant_ref ref_ = 0;
  port port_ = 0;
  bool is_alive_ = true;
  bool is_waiting_ = false;
};

} // namespace vtpm::xenio::simulated
