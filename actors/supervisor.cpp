#include "actors/supervisor.hpp"

#include <chrono>
#include <utility>

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include "actors/collect.hpp"
#include "actors/ring.hpp"
#include "protocol/decimal.hpp"
#include "protocol/log.hpp"

namespace vtpm::actors {

namespace {

using self_type = self_pointer<supervisor_state, supervisor_actor>;
using xenio::xenbus_state;

/// Where the toolstack announces frontends, below the own domain's home.
const std::string root = "backend/vtpm";

/// How long an actor may take to report before it is left out.
constexpr auto report_limit = std::chrono::seconds{1};

void write_state(self_type self, device& dev, xenbus_state state) {
  dev.written = state;
  self->state.parts.store->write(dev.backend_path + "/state",
                                 std::to_string(static_cast<unsigned>(state)),
                                 {});
}

/// Asks for the names below `path`.
void list(self_type self, const std::string& path) {
  auto owner = caf::actor_cast<supervisor_actor>(self);
  self->state.parts.store->list(
    path, [owner, path](std::vector<std::string> names) {
      caf::anon_send(owner, listed_atom_v,
                     directory_listing{path, std::move(names)});
    });
}

/// Asks for what the device's nodes hold. The frontend's are included as soon
/// as its path is known.
void examine(self_type self, const frontend_id& id, device& dev) {
  if (dev.examining) {
    dev.changed_meanwhile = true;
    return;
  }
  dev.examining = true;
  dev.changed_meanwhile = false;
  *dev.told = false;
  const auto& back = dev.backend_path;
  const auto& front = dev.frontend_path;
  std::vector<std::string> paths{back + "/frontend", back + "/online",
                                 back + "/state", back + "/uuid"};
  if (!front.empty())
    for (auto key :
         {"/state", "/ring-ref", "/event-channel", "/feature-protocol-v2"})
      paths.push_back(front + key);
  auto owner = caf::actor_cast<supervisor_actor>(self);
  self->state.parts.store->read(
    std::move(paths), [owner, id](std::vector<xenio::store::value> values) {
      values.resize(8);
      caf::anon_send(owner, examined_atom_v,
                     device_nodes{id, std::move(values[0]),
                                  std::move(values[1]), std::move(values[2]),
                                  std::move(values[3]), std::move(values[4]),
                                  std::move(values[5]), std::move(values[6]),
                                  std::move(values[7])});
    });
}

/// Looks at the device DOMID/HANDLE, new or known.
void examine_named(self_type self, const std::string& domain,
                   const std::string& handle) {
  const auto domid = protocol::parse_decimal<xenio::domid>(domain);
  const auto number = protocol::parse_decimal<std::uint32_t>(handle);
  if (!domid || !number)
    return; // not a device: whatever else the toolstack keeps there
  const auto id = frontend_id{*domid, *number};
  auto [entry, is_new] = self->state.devices.try_emplace(id);
  if (is_new)
    entry->second.backend_path = root + "/" + domain + "/" + handle;
  examine(self, id, entry->second);
}

/// A watch fired at or below `path`: a device's node, or one above it.
void changed(self_type self, const std::string& path) {
  if (self->state.draining)
    return;
  const auto at = path.find(root);
  if (at == path.npos)
    return;
  const auto below = split_path(
    std::string_view{path}.substr(std::min(path.size(), at + root.size() + 1)));
  if (below.size() >= 2)
    examine_named(self, below[0], below[1]);
  else
    list(self, below.empty() ? root : root + "/" + below[0]);
}

void listed(self_type self, const directory_listing& listing) {
  if (listing.path == root) {
    for (const auto& name : listing.names)
      list(self, root + "/" + name);
    // A node that vanished with its parents fires only for the topmost.
    for (auto& [id, dev] : self->state.devices)
      examine(self, id, dev);
    return;
  }
  const auto domain = listing.path.substr(root.size() + 1);
  for (const auto& name : listing.names)
    examine_named(self, domain, name);
  for (auto& [id, dev] : self->state.devices)
    if (std::to_string(id.domain) == domain)
      examine(self, id, dev);
}

/// One line per event; not more of them than an operator can read.
void note(self_type self, spdlog::level::level_enum level,
          const frontend_id& id, const std::string& what) {
  auto& limit = self->state.comings;
  if (limit.admit(self->clock().now()))
    log().log(level, "frontend {}: {}{}", to_string(id), what, limit.remark());
}

/// Ends the connection: the ring lets go of page and event channel as it exits;
/// `ring_ended` does the rest.
void disconnect(self_type self, const frontend_id& id, device& dev) {
  dev.offer.reset();
  dev.refused = false;
  if (!dev.ring)
    return;
  note(self, spdlog::level::info, id, "disconnected");
  self->state.ending.emplace(dev.ring.address(), id);
  self->send_exit(std::exchange(dev.ring, {}), caf::exit_reason::user_shutdown);
}

void refuse(self_type self, const frontend_id& id, device& dev,
            const std::string& why) {
  note(self, spdlog::level::warn, id, "refused, " + why);
  dev.refused = true;
  write_state(self, dev, xenbus_state::closed);
}

ring_actor spawn_ring(self_type self, ring_parts made_of) {
  auto& parts = self->state.parts;
  const auto id = made_of.id;
  auto made = self->spawn<caf::monitored>(ring, std::move(made_of), parts.tpm,
                                          parts.control);
  self->send(parts.stats, watch_atom_v, "ring " + to_string(id),
             metered_actor{made});
  return made;
}

/// Connects with the frontend's offer, in place of an older connection.
void connect(self_type self, device& dev, const device_nodes& nodes) {
  const auto& id = nodes.id;
  auto& parts = self->state.parts;
  disconnect(self, id, dev);
  for (const auto& [ring, whose] : self->state.ending)
    if (whose == id)
      return; // the event channel may be the same; we look again when it ends
  std::string problem;
  dev.offer = parse_offer(nodes, problem);
  if (!dev.offer) {
    // On record all the same, so that the same garbage is refused once.
    dev.offer = connection_offer{};
    refuse(self, id, dev, problem);
    return;
  }
  auto page = parts.grants->map(id.domain, dev.offer->ring_ref);
  if (!page) {
    refuse(self, id, dev, page.error().detail);
    return;
  }
  auto receiver = std::make_shared<ring_actor>();
  auto look = [receiver] { caf::anon_send(*receiver, notify_atom_v); };
  auto port = parts.events->bind(id.domain, dev.offer->event_channel, look);
  if (!port) {
    refuse(self, id, dev, port.error().detail);
    return;
  }
  auto uuid = nodes.uuid.value_or("");
  const auto allowed
    = allowed_localities(parts.rules, {id.domain, id.handle, uuid});
  auto polled = parts.poller == nullptr
    ? nullptr
    : std::make_unique<polled_page>(*parts.poller, **page, look);
  dev.ring = spawn_ring(
    self,
    {id, std::move(uuid), parts.version, allowed, std::move(*page),
     std::make_unique<doorbell>(*parts.events, *port), std::move(polled)});
  *receiver = dev.ring;
  if (dev.written == xenbus_state::unknown)
    parts.store->write(dev.backend_path + "/feature-protocol-v2", "1", {});
  write_state(self, dev, xenbus_state::connected);
  note(self, spdlog::level::info, id,
       "connected, uuid " + nodes.uuid.value_or("none"));
  // The first request may have come before the event channel was bound.
  self->send(dev.ring, notify_atom_v);
}

void forget(self_type self, const frontend_id& id, device& dev) {
  disconnect(self, id, dev);
  if (dev.frontend_watch)
    self->state.parts.store->unwatch(*dev.frontend_watch);
  note(self, spdlog::level::info, id, "gone");
  self->state.devices.erase(id);
}

/// Learns where the frontend's nodes are, and watches its state.
void learn_frontend_path(self_type self, const frontend_id& id, device& dev,
                         const std::string& path) {
  dev.frontend_path = path;
  note(self, spdlog::level::info, id, "appeared at " + path);
  auto owner = caf::actor_cast<supervisor_actor>(self);
  dev.frontend_watch = self->state.parts.store->watch(
    path,
    [owner, back = dev.backend_path, told = dev.told](const std::string&) {
      if (!std::exchange(*told, true))
        caf::anon_send(owner, changed_atom_v, back);
    });
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

void take_step(self_type self, device& dev, const device_nodes& nodes) {
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

void examined(self_type self, const device_nodes& nodes) {
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

/// A ring that was told to end has: whatever it had under way is for nobody
/// now, and its frontend may be connected again. A ring that ends by itself is
/// a bug of ours; its frontend is told to start over, and the others go on.
void ring_ended(self_type self, const caf::down_msg& down) {
  auto& state = self->state;
  if (const auto told = state.ending.find(down.source);
      told != state.ending.end()) {
    const auto id = told->second;
    state.ending.erase(told);
    self->send(state.parts.tpm, cancel_atom_v, id);
    if (const auto entry = state.devices.find(id); entry != state.devices.end())
      examine(self, id, entry->second);
    return;
  }
  for (auto& [id, dev] : state.devices)
    if (dev.ring && dev.ring.address() == down.source) {
      log().error("frontend {}: its ring ended: {}", to_string(id),
                  explain(down.reason));
      self->send(state.parts.tpm, cancel_atom_v, id);
      dev.ring = ring_actor{};
      dev.offer.reset();
      write_state(self, dev, xenbus_state::closed);
      return;
    }
}

caf::result<done_atom> drain(self_type self) {
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

caf::result<std::vector<frontend_report>> report(self_type self) {
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

supervisor_actor::behavior_type supervisor(self_type self,
                                           supervisor_parts parts) {
  self->state.parts = std::move(parts);
  self->set_down_handler(
    [self](const caf::down_msg& down) { ring_ended(self, down); });
  auto owner = caf::actor_cast<supervisor_actor>(self);
  self->state.root_watch
    = self->state.parts.store->watch(root, [owner](const std::string& path) {
        caf::anon_send(owner, changed_atom_v, path);
      });
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
