#include "xenio/simulated/guest.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "xenio/device_nodes.hpp"
#include "xenio/guest_side.hpp"

namespace vtpm::xenio::simulated {

guest::guest(hypervisor& xen, domid domain, std::uint32_t handle,
             std::string uuid)
  : xen_(xen), domain_(domain), handle_(handle), uuid_(std::move(uuid)) {
  announce_device(xen_.store(), domain_, handle_, uuid_);
}

guest::~guest() {
  die();
}

// -- the device ---------------------------------------------------------------

void guest::write(std::string_view key, std::string_view value) {
  if (is_alive_)
    xen_.store().set(frontend_path(domain_, handle_) + '/' + std::string{key},
                     value);
}

void guest::withdraw() {
  xen_.revoke(domain_, std::exchange(ref_, 0));
  xen_.close_port(domain_, std::exchange(port_, 0));
}

void guest::publish(xenbus_state state) {
  assert(is_alive_);
  withdraw();
  ref_ = xen_.grant(domain_, memory_);
  port_ = xen_.open_port(domain_, [this] {
    ++rings;
    if (on_ring)
      on_ring();
  });
  write("ring-ref", std::to_string(ref_));
  write("event-channel", std::to_string(port_));
  write("feature-protocol-v2", "1");
  set_state(state);
}

void guest::renew_page() {
  memory_ = std::make_shared<page_memory>();
}

void guest::set_state(xenbus_state state) {
  write("state", std::to_string(static_cast<unsigned>(state)));
}

void guest::close() {
  set_state(xenbus_state::closing);
  set_state(xenbus_state::closed);
}

void guest::die() {
  if (!std::exchange(is_alive_, false))
    return;
  withdraw();
  remove_device(xen_.store(), domain_, handle_);
}

xenbus_state guest::backend_state() const {
  const auto text = xen_.store().get(backend_path(domain_, handle_) + "/state");
  if (!text || text->size() != 1 || (*text)[0] < '0' || (*text)[0] > '6')
    return xenbus_state::unknown;
  return static_cast<xenbus_state>((*text)[0] - '0');
}

// -- requests -----------------------------------------------------------------

void guest::submit(std::uint8_t locality, byte_view request) {
  own_view view{*memory_};
  [[maybe_unused]] const auto fits = place_request(view, locality, request);
  assert(fits);
  is_waiting_ = true;
  ring();
}

void guest::submit_raw(const protocol::page_header& header, byte_view octets) {
  const auto fixed = header.encode();
  std::copy(fixed.begin(), fixed.end(), memory_->octets.begin());
  const auto fitting
    = octets.first(std::min(octets.size(), header.packet_size_max()));
  std::copy(fitting.begin(), fitting.end(),
            memory_->octets.begin()
              + static_cast<std::ptrdiff_t>(header.packet_offset()));
  is_waiting_ = true;
  ring();
}

void guest::cancel() {
  own_view{*memory_}.store_state(protocol::page_state::cancel);
  ring();
}

void guest::ring(unsigned times) {
  for (auto i = 0u; i < times && is_alive_; ++i)
    xen_.ring_backend(domain_, port_);
}

std::uint8_t guest::state() const noexcept {
  return own_view{*memory_}.load_state();
}

std::optional<byte_vector> guest::take_response() {
  const own_view view{*memory_};
  if (!is_alive_ || !is_waiting_ || !is_free(view))
    return std::nullopt;
  is_waiting_ = false;
  if (view.load_state()
      != static_cast<std::uint8_t>(protocol::page_state::finish))
    return std::nullopt;
  auto response = collect_response(view);
  if (!response)
    return std::nullopt;
  return *std::move(response);
}

} // namespace vtpm::xenio::simulated
