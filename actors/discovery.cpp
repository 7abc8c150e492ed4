#include "actors/discovery.hpp"

#include <algorithm>
#include <utility>

#include <caf/send.hpp>

#include "actors/connection.hpp"
#include "protocol/decimal.hpp"

namespace vtpm::actors {

namespace {

/// Where the toolstack announces frontends, below the own domain's home.
const std::string root = "backend/vtpm";

/// Asks for the names below `path`.
void list(supervisor_self self, const std::string& path) {
  auto owner = caf::actor_cast<supervisor_actor>(self);
  self->state.parts.store->list(
    path, [owner, path](std::vector<std::string> names) {
      caf::anon_send(owner, listed_atom_v,
                     directory_listing{path, std::move(names)});
    });
}

/// Looks at the device DOMID/HANDLE, new or known.
void examine_named(supervisor_self self, const std::string& domain,
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

} // namespace

void discover(supervisor_self self) {
  auto owner = caf::actor_cast<supervisor_actor>(self);
  self->state.root_watch
    = self->state.parts.store->watch(root, [owner](const std::string& path) {
        caf::anon_send(owner, changed_atom_v, path);
      });
}

void changed(supervisor_self self, const std::string& path) {
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

void listed(supervisor_self self, const directory_listing& listing) {
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

void examine(supervisor_self self, const frontend_id& id, device& dev) {
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
                                 back + "/state", back + "/uuid", "domid"};
  if (!front.empty())
    for (auto key :
         {"/state", "/ring-ref", "/event-channel", "/feature-protocol-v2"})
      paths.push_back(front + key);
  auto owner = caf::actor_cast<supervisor_actor>(self);
  self->state.parts.store->read(
    std::move(paths), [owner, id](std::vector<xenio::store::value> values) {
      values.resize(9);
      caf::anon_send(owner, examined_atom_v,
                     device_nodes{id, std::move(values[0]),
                                  std::move(values[1]), std::move(values[2]),
                                  std::move(values[3]), std::move(values[4]),
                                  std::move(values[5]), std::move(values[6]),
                                  std::move(values[7]), std::move(values[8])});
    });
}

void learn_frontend_path(supervisor_self self, const frontend_id& id,
                         device& dev, const std::string& path) {
  if (dev.frontend_watch)
    self->state.parts.store->unwatch(*dev.frontend_watch);
  dev.frontend_path = path;
  note(self, spdlog::level::info, id, "appeared at " + path);
  // What was told of the old place asks for no look at the new one.
  *dev.told = false;
  auto owner = caf::actor_cast<supervisor_actor>(self);
  dev.frontend_watch = self->state.parts.store->watch(
    path,
    [owner, back = dev.backend_path, told = dev.told](const std::string&) {
      if (!std::exchange(*told, true))
        caf::anon_send(owner, changed_atom_v, back);
    });
}

void announce(supervisor_self self, device& dev) {
  self->state.parts.store->write(dev.backend_path + "/feature-protocol-v2", "1",
                                 {});
  write_state(self, dev, xenio::xenbus_state::init_wait);
}

void write_state(supervisor_self self, device& dev, xenio::xenbus_state state) {
  dev.written = state;
  self->state.parts.store->write(dev.backend_path + "/state",
                                 std::to_string(static_cast<unsigned>(state)),
                                 {});
}

} // namespace vtpm::actors
