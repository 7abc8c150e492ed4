#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <utility>

#include "protocol/tpmif.hpp"
#include "xenio/event_channels.hpp"
#include "xenio/event_loop.hpp"
#include "xenio/grant_mapper.hpp"
#include "xenio/memory_tree.hpp"

// A hypervisor in memory: no system call, no clock, no thread; what happens
// depends on what the test did and on nothing else. Guests are `guest` objects.
//
// What may go wrong here, each on request only:
//   - mapping or binding fails;
//   - an event is lost, comes several times, or comes for nothing;
//   - a guest changes its page between any two reads of the backend;
//   - a guest dies at any moment; its page stays readable for as long as the
//     backend has it mapped, as on Xen.
// What never goes wrong: an access to a mapped page, the order of events of one
// channel, the store.

namespace vtpm::xenio::simulated {

/// A guest's page and who looks at it.
struct page_memory {
  alignas(protocol::page_size)
    std::array<std::uint8_t, protocol::page_size> octets = {};
  /// Runs before each read by the backend and may change the content; `reads`
  /// counts them.
  std::function<void(std::span<std::uint8_t, protocol::page_size>)> before_read;
  std::size_t reads = 0;
};

/// What goes wrong next.
struct faults {
  /// So many calls of `grant_mapper::map` fail with `errc::bad_grant`.
  unsigned failing_maps = 0;
  /// So many calls of `event_channels::bind` fail with `errc::bad_channel`.
  unsigned failing_binds = 0;
  /// Binding is followed by one event, as on Xen; else by none.
  bool event_at_bind = false;
  /// Asked for each ring of a guest: how often the backend gets it. 0 loses it.
  std::function<unsigned(domid)> events_to_backend;
  /// The same for rings of the backend.
  std::function<unsigned(domid)> events_to_guest;
};

class hypervisor final : private grant_mapper, private event_channels {
public:
  /// @param loop Outlives the hypervisor; events and the store's results come
  ///             through it.
  explicit hypervisor(event_loop& loop) : loop_(loop), tree_(loop) {
    // nop
  }

  hypervisor(const hypervisor&) = delete;
  hypervisor& operator=(const hypervisor&) = delete;

  grant_mapper& grants() {
    return *this;
  }

  event_channels& events() {
    return *this;
  }

  /// Also usable as `xenio::store`.
  memory_tree& store() {
    return tree_;
  }

  faults inject;

  /// Returns how many pages the backend has mapped.
  std::size_t mappings() const noexcept {
    return *mappings_;
  }

  /// Returns how many channels the backend has bound.
  std::size_t bindings() const noexcept {
    return bindings_.size();
  }

  // -- for guests -------------------------------------------------------------

  /// Grants a page and returns its reference; never one that was in use before.
  grant_ref grant(domid owner, std::shared_ptr<page_memory> page);

  void revoke(domid owner, grant_ref ref);

  /// Makes a port to be bound by the backend; never one that was in use before.
  /// @param on_ring Runs through the loop when the backend rings.
  port open_port(domid owner, std::function<void()> on_ring);

  void close_port(domid owner, port number);

  /// Rings the backend, if it has bound `number`.
  void ring_backend(domid owner, port number);

private:
  struct channel {
    std::function<void()> on_ring;
    /// The backend's end, 0 when not bound.
    port local = 0;
  };

  struct binding {
    domid remote;
    port remote_port;
    std::shared_ptr<const std::function<void()>> on_event;
  };

  result<std::unique_ptr<shared_page>> map(domid remote,
                                           grant_ref ref) override;

  result<port> bind(domid remote, port remote_port,
                    std::function<void()> on_event) override;

  void unbind(port local) override;

  void notify(port local) noexcept override;

  void deliver(port local);

  /// Runs `job` through the loop, unless we are gone by then.
  void later(std::function<void()> job);

  event_loop& loop_;
  memory_tree tree_;
  std::map<std::pair<domid, grant_ref>, std::shared_ptr<page_memory>> grants_;
  std::map<std::pair<domid, port>, channel> channels_;
  std::map<port, binding> bindings_;
  /// Shared with the mapped pages, which may outlive us.
  std::shared_ptr<std::size_t> mappings_ = std::make_shared<std::size_t>(0);
  std::uint32_t next_number_ = 1;
  /// Expires with the hypervisor.
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

} // namespace vtpm::xenio::simulated
