#include "actors/connection.hpp"

#include <utility>

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include "actors/discovery.hpp"
#include "actors/primary.hpp"
#include "actors/ring.hpp"

namespace vtpm::actors {

namespace {

using xenio::xenbus_state;

ring_actor spawn_ring(supervisor_self self, ring_parts made_of) {
  auto& parts = self->state.parts;
  const auto id = made_of.id;
  auto made = self->spawn<caf::monitored>(ring, std::move(made_of), parts.tpm,
                                          parts.control);
  self->send(parts.stats, watch_atom_v, "ring " + to_string(id),
             metered_actor{made});
  return made;
}

/// Returns how a ring hands over what it has counted.
std::function<void(const frontend_counters&)> farewell_of(
  supervisor_self self, const frontend_identity& who) {
  return [owner = caf::actor_cast<supervisor_actor>(self),
          id = frontend_id{who.domain, who.handle}](
           const frontend_counters& counted) {
    caf::anon_send(owner, report_atom_v, id, counted);
  };
}

/// Maps the page, binds the event channel, and makes a ring of both.
xenio::result<ring_actor> give_ring(supervisor_self self,
                                    const connection_offer& offer,
                                    const frontend_identity& who) {
  auto& parts = self->state.parts;
  auto page = parts.grants->map(who.domain, offer.ring_ref);
  if (!page)
    return page.error();
  auto receiver = std::make_shared<ring_actor>();
  auto look = [receiver] { caf::anon_send(*receiver, notify_atom_v); };
  auto port = parts.events->bind(who.domain, offer.event_channel, look);
  if (!port)
    return port.error();
  auto polled = parts.poller == nullptr
    ? nullptr
    : std::make_unique<polled_page>(*parts.poller, **page, look);
  *receiver = spawn_ring(self,
                         {{who.domain, who.handle},
                          who.uuid,
                          parts.version,
                          allowed_localities(parts.rules, who),
                          std::move(*page),
                          std::make_unique<doorbell>(*parts.events, *port),
                          std::move(polled),
                          parts.shadow,
                          farewell_of(self, who)});
  return *receiver;
}

/// Returns what an operator should know of this coming.
std::string remark_on(arrival meaning) {
  switch (meaning) {
    case arrival::peer:
      break;
    case arrival::first:
    case arrival::again:
    case arrival::rebooted:
      return ", primary";
    case arrival::kept:
      return ", primary under a new domid: TPM kept";
  }
  return {};
}

} // namespace

void note(supervisor_self self, spdlog::level::level_enum level,
          const frontend_id& id, const std::string& what) {
  auto& limit = self->state.comings;
  if (limit.admit(self->clock().now()))
    log().log(level, "frontend {}: {}{}", to_string(id), what, limit.remark());
}

void refuse(supervisor_self self, const frontend_id& id, device& dev,
            const std::string& why) {
  note(self, spdlog::level::warn, id, "refused, " + why);
  dev.refused = true;
  ++dev.past.refused;
  write_state(self, dev, xenbus_state::closed);
}

void connect(supervisor_self self, device& dev, const device_nodes& nodes) {
  const auto& id = nodes.id;
  auto& state = self->state;
  disconnect(self, id, dev, "it offers another ring");
  for (const auto& [ring, whose] : state.ending)
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
  const auto who = frontend_identity{id.domain, id.handle, dev.uuid};
  if (reset_first(self, who)) {
    if (dev.written != xenbus_state::init_wait)
      announce(self, dev);
    return;
  }
  auto made = give_ring(self, *dev.offer, who);
  if (!made) {
    refuse(self, id, dev, made.error().detail);
    return;
  }
  dev.ring = std::move(*made);
  if (dev.written == xenbus_state::unknown)
    state.parts.store->write(dev.backend_path + "/feature-protocol-v2", "1",
                             {});
  const auto meaning = state.machine.judge(who);
  admit(self, who);
  write_state(self, dev, xenbus_state::connected);
  note(self, spdlog::level::info, id,
       "connected, uuid " + (who.uuid.empty() ? "none" : who.uuid)
         + remark_on(meaning));
  // The first request may have come before the event channel was bound.
  self->send(dev.ring, notify_atom_v);
}

void disconnect(supervisor_self self, const frontend_id& id, device& dev,
                const char* why) {
  dev.offer.reset();
  dev.refused = false;
  if (!dev.ring)
    return;
  note(self, spdlog::level::info, id, std::string{"disconnected, "} + why);
  self->state.ending.emplace(dev.ring.address(), id);
  self->send_exit(std::exchange(dev.ring, {}), caf::exit_reason::user_shutdown);
}

void ring_ended(supervisor_self self, const caf::down_msg& down) {
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

} // namespace vtpm::actors
