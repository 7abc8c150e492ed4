#include "actors/supervisor.hpp"

#include <chrono>
#include <utility>

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include "actors/collect.hpp"
#include "actors/connection.hpp"
#include "actors/discovery.hpp"
#include "actors/primary.hpp"

namespace vtpm::actors {

namespace {

using xenio::xenbus_state;

/// How long an actor may take to report before it is left out.
constexpr auto report_limit = std::chrono::seconds{1};

/// How long libxl needs to see a state that it waits for: InitWait before it
/// becomes Connected, Closed before its node goes. It gives up ten seconds
/// after it asked.
constexpr auto toolstack_delay = std::chrono::seconds{1};

void forget(supervisor_self self, const frontend_id& id, device& dev) {
  disconnect(self, id, dev, "its node is gone");
  auto& state = self->state;
  if (dev.frontend_watch) {
    state.parts.store->unwatch(*dev.frontend_watch);
    note(self, spdlog::level::info, id, "gone");
  }
  if (state.parts.shadow != nullptr)
    state.parts.shadow->forget(key_of(id));
  // A node that was never a device counts for nothing.
  state.gone += dev.frontend_watch ? 1 : 0;
  state.gone_counters += dev.past;
  state.devices.erase(id);
  if (state.devices.empty() && state.parts.unused_limit)
    self->delayed_send(self, *state.parts.unused_limit, unused_atom_v,
                       ++state.desertions);
}

/// The toolstack removes the device, or wants it closed.
void close(supervisor_self self, const frontend_id& id, device& dev,
           const device_view& view) {
  const auto* why
    = view.online ? "the toolstack closes it" : "the toolstack removes it";
  if (!dev.ring)
    note(self, spdlog::level::info, id, std::string{"closed, "} + why);
  disconnect(self, id, dev, why);
  write_state(self, dev, xenbus_state::closed);
}

bool is_absolute(const device_nodes::value& path) {
  return path && !path->empty() && path->front() == '/';
}

device_view view_of(const device& dev, const device_nodes& nodes) {
  device_view view;
  view.backend_exists = is_absolute(nodes.frontend_path) && nodes.backend_state;
  // Builders that do not know of removal do not write this key.
  view.online = nodes.online.value_or("1") != "0";
  view.backend = parse_xenbus_state(nodes.backend_state);
  view.written = dev.written;
  view.frontend = parse_xenbus_state(nodes.frontend_state);
  view.connected = static_cast<bool>(dev.ring);
  view.refused = dev.refused;
  // Where there is no such node there is no hypervisor, and no domain but 0.
  view.ours_to_remove = nodes.own_domid.value_or("0") != "0";
  view.closed_for_long = dev.closed_for_long;
  view.announced_just_now = dev.announced_just_now;
  view.restarted = dev.last_seen == xenbus_state::connected
    && view.frontend == xenbus_state::initialised;
  std::string problem;
  view.same_offer = dev.offer
    && *dev.offer == parse_offer(nodes, problem).value_or(connection_offer{});
  return view;
}

/// Notes that the toolstack removes the device, or has another one in its
/// place.
void follow_online(supervisor_self self, device& dev, const frontend_id& id,
                   const device_view& view) {
  if (view.online == !dev.offline)
    return;
  dev.offline = !view.online;
  dev.closed_for_long = false;
  if (!dev.offline)
    return;
  dev.removal = ++self->state.removals;
  self->delayed_send(self, toolstack_delay, remove_atom_v, id, dev.removal);
}

/// Announces a device that the toolstack has just made or that is free again.
void announce_to(supervisor_self self, device& dev, const frontend_id& id,
                 const device_view& view) {
  auto& state = self->state;
  announce(self, dev);
  if (view.backend != xenbus_state::initialising || !state.parts.is_awaited)
    return;
  dev.announced_just_now = true;
  dev.announcement = ++state.announcements;
  self->delayed_send(self, toolstack_delay, announced_atom_v, id,
                     dev.announcement);
}

void take_step(supervisor_self self, device& dev, const device_nodes& nodes) {
  const auto& id = nodes.id;
  auto& store = *self->state.parts.store;
  const auto view = view_of(dev, nodes);
  dev.last_seen = view.frontend;
  dev.uuid = canonical_uuid(nodes.uuid.value_or(""));
  follow_online(self, dev, id, view);
  switch (next_step(view)) {
    case device_step::nothing:
      return;
    case device_step::forget:
      forget(self, id, dev);
      return;
    case device_step::close:
      close(self, id, dev, view);
      return;
    case device_step::remove:
      store.remove(dev.backend_path, {});
      return;
    case device_step::announce:
      disconnect(self, id, dev, "it closed or is gone");
      announce_to(self, dev, id, view);
      return;
    case device_step::connect:
      connect(self, dev, nodes);
      return;
    case device_step::follow_closing:
      disconnect(self, id, dev, "it is closing");
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
  if (is_absolute(nodes.frontend_path)
      && *nodes.frontend_path != dev.frontend_path) {
    learn_frontend_path(self, nodes.id, dev, *nodes.frontend_path);
    return; // the watch just made fires at once, and then all is read
  }
  const auto again = dev.changed_meanwhile;
  take_step(self, dev, nodes);
  if (const auto still = devices.find(nodes.id);
      again && still != devices.end())
    examine(self, nodes.id, still->second);
}

/// The toolstack has seen the device closed by now.
void closed_for_long(supervisor_self self, const frontend_id& id,
                     std::uint64_t removal) {
  auto& devices = self->state.devices;
  const auto entry = devices.find(id);
  if (entry == devices.end() || !entry->second.offline
      || entry->second.removal != removal)
    return;
  entry->second.closed_for_long = true;
  examine(self, id, entry->second);
}

/// The toolstack has seen the device announced by now.
void announced_for_long(supervisor_self self, const frontend_id& id,
                        std::uint64_t announcement) {
  auto& devices = self->state.devices;
  const auto entry = devices.find(id);
  if (entry == devices.end() || entry->second.announcement != announcement)
    return;
  entry->second.announced_just_now = false;
  examine(self, id, entry->second);
}

/// Nobody came after the last frontend went.
void unused(supervisor_self self, std::uint64_t desertion) {
  const auto& state = self->state;
  if (state.draining || !state.devices.empty() || desertion != state.desertions)
    return;
  log().info("no frontend for {} s", state.parts.unused_limit->count());
  state.parts.on_unused();
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

frontend_state state_of(const supervisor_state& state, const frontend_id& id,
                        const device& dev) {
  if (dev.offline)
    return frontend_state::removed;
  if (dev.ring)
    return frontend_state::connected;
  if (state.awaiting_reset.count(id) != 0)
    return frontend_state::resetting;
  return dev.refused ? frontend_state::refused : frontend_state::waiting;
}

/// Its device may be gone, or there may be another one in its place; either way
/// it counts.
void keep_counters(supervisor_state& state, const frontend_id& id,
                   const frontend_counters& counted) {
  const auto entry = state.devices.find(id);
  (entry == state.devices.end() ? state.gone_counters : entry->second.past)
    += counted;
}

caf::result<frontends_report> report(supervisor_self self) {
  auto& state = self->state;
  auto promise = self->make_response_promise<frontends_report>();
  frontends_report initial;
  initial.gone = state.gone;
  initial.gone_counters = state.gone_counters;
  std::vector<std::pair<ring_actor, frontend_report>> connected;
  for (auto& [id, dev] : state.devices) {
    frontend_report one;
    one += dev.past;
    one.id = id;
    one.uuid = dev.uuid;
    one.state = state_of(state, id, dev);
    one.primary = state.machine.is_primary({id.domain, id.handle, dev.uuid});
    if (dev.ring)
      connected.emplace_back(dev.ring, std::move(one));
    else
      initial.present.push_back(std::move(one));
  }
  auto all = std::make_shared<collector<frontends_report>>(
    connected.size(), promise, std::move(initial));
  for (auto& [ring, known] : connected)
    self->request(ring, report_limit, report_atom_v)
      .then(
        [all, one = std::move(known)](const frontend_counters& now) mutable {
          one += now;
          all->value.present.push_back(std::move(one));
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
  self->state.machine
    = platform{std::move(parts.primary), std::move(parts.memory)};
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
    [self](remove_atom, const frontend_id& id, std::uint64_t removal) {
      closed_for_long(self, id, removal);
    },
    [self](announced_atom, const frontend_id& id, std::uint64_t announcement) {
      announced_for_long(self, id, announcement);
    },
    [self](unused_atom, std::uint64_t desertion) { unused(self, desertion); },
    [self](report_atom, const frontend_id& id,
           const frontend_counters& counted) {
      keep_counters(self->state, id, counted);
    },
    [self](keep_atom) { keep_next(self); },
    [self](platform_atom) { return report_platform(self->state); },
    [self](drain_atom) { return drain(self); },
    [self](report_atom) { return report(self); },
    [self](stats_atom) { return self->stats(); },
  };
}

} // namespace vtpm::actors
