#include "actors/supervisor.hpp"

#include <chrono>
#include <utility>

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include "actors/collect.hpp"
#include "actors/connection.hpp"
#include "actors/discovery.hpp"

namespace vtpm::actors {

namespace {

using xenio::xenbus_state;

/// How long an actor may take to report before it is left out.
constexpr auto report_limit = std::chrono::seconds{1};

void forget(supervisor_self self, const frontend_id& id, device& dev) {
  disconnect(self, id, dev);
  if (dev.frontend_watch)
    self->state.parts.store->unwatch(*dev.frontend_watch);
  note(self, spdlog::level::info, id, "gone");
  self->state.devices.erase(id);
}

device_view view_of(const device& dev, const device_nodes& nodes) {
  device_view view;
  view.backend_exists = nodes.frontend_path && nodes.backend_state;
  // Builders that do not know of removal do not write this key.
  view.online = nodes.online.value_or("1") != "0";
  view.backend = parse_xenbus_state(nodes.backend_state);
  view.written = dev.written;
  view.frontend = parse_xenbus_state(nodes.frontend_state);
  view.connected = static_cast<bool>(dev.ring);
  view.refused = dev.refused;
  view.restarted = dev.last_seen == xenbus_state::connected
    && view.frontend == xenbus_state::initialised;
  std::string problem;
  view.same_offer = dev.offer
    && *dev.offer == parse_offer(nodes, problem).value_or(connection_offer{});
  return view;
}

void take_step(supervisor_self self, device& dev, const device_nodes& nodes) {
  const auto& id = nodes.id;
  auto& store = *self->state.parts.store;
  const auto view = view_of(dev, nodes);
  dev.last_seen = view.frontend;
  switch (next_step(view)) {
    case device_step::nothing:
      return;
    case device_step::forget:
      forget(self, id, dev);
      return;
    case device_step::close:
      disconnect(self, id, dev);
      write_state(self, dev, xenbus_state::closed);
      return;
    case device_step::announce:
      disconnect(self, id, dev);
      store.write(dev.backend_path + "/feature-protocol-v2", "1", {});
      write_state(self, dev, xenbus_state::init_wait);
      return;
    case device_step::connect:
      connect(self, dev, nodes);
      return;
    case device_step::follow_closing:
      disconnect(self, id, dev);
      write_state(self, dev, xenbus_state::closing);
      return;
  }
}

void examined(supervisor_self self, const device_nodes& nodes) {
  auto& devices = self->state.devices;
  const auto entry = devices.find(nodes.id);
  if (entry == devices.end() || self->state.draining)
    return;
  auto& dev = entry->second;
  dev.examining = false;
  if (nodes.frontend_path && dev.frontend_path.empty()) {
    learn_frontend_path(self, nodes.id, dev, *nodes.frontend_path);
    return; // the watch just made fires at once, and then all is read
  }
  const auto again = dev.changed_meanwhile;
  take_step(self, dev, nodes);
  if (const auto still = devices.find(nodes.id);
      again && still != devices.end())
    examine(self, nodes.id, still->second);
}

caf::result<done_atom> drain(supervisor_self self) {
  auto& state = self->state;
  state.draining = true;
  auto promise = self->make_response_promise<done_atom>();
  std::vector<ring_actor> rings;
  for (auto& [id, dev] : state.devices)
    if (dev.ring)
      rings.push_back(dev.ring);
  auto all = std::make_shared<collector<done_atom>>(rings.size() + 1, promise);
  for (auto& each : rings)
    self->request(each, caf::infinite, drain_atom_v)
      .then([all](done_atom) { all->arrived(); },
            [all](const caf::error&) { all->arrived(); });
  self->request(state.parts.tpm, caf::infinite, drain_atom_v)
    .then([all](done_atom) { all->arrived(); },
          [promise](caf::error& reason) mutable {
            promise.deliver(std::move(reason));
          });
  return promise;
}

caf::result<std::vector<frontend_report>> report(supervisor_self self) {
  using reports = std::vector<frontend_report>;
  auto promise = self->make_response_promise<reports>();
  std::vector<ring_actor> rings;
  for (auto& [id, dev] : self->state.devices)
    if (dev.ring)
      rings.push_back(dev.ring);
  auto all = std::make_shared<collector<reports>>(rings.size(), promise);
  for (auto& each : rings)
    self->request(each, report_limit, report_atom_v)
      .then(
        [all](frontend_report& one) {
          all->value.push_back(std::move(one));
          all->arrived();
        },
        [all](const caf::error&) { all->arrived(); });
  return promise;
}

} // namespace

supervisor_state::~supervisor_state() {
  if (parts.store == nullptr)
    return;
  parts.store->unwatch(root_watch);
  for (auto& [id, dev] : devices) {
    if (dev.frontend_watch)
      parts.store->unwatch(*dev.frontend_watch);
    if (dev.ring)
      caf::anon_send_exit(dev.ring, caf::exit_reason::user_shutdown);
  }
}

supervisor_actor::behavior_type supervisor(supervisor_self self,
                                           supervisor_parts parts) {
  self->state.parts = std::move(parts);
  self->set_down_handler(
    [self](const caf::down_msg& down) { ring_ended(self, down); });
  discover(self);
  return {
    [self](changed_atom, const std::string& path) { changed(self, path); },
    [self](listed_atom, const directory_listing& listing) {
      listed(self, listing);
    },
    [self](examined_atom, const device_nodes& nodes) { examined(self, nodes); },
    [self](drain_atom) { return drain(self); },
    [self](report_atom) { return report(self); },
    [self](stats_atom) { return self->stats(); },
  };
}

} // namespace vtpm::actors
