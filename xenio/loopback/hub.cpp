#include "xenio/loopback/hub.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/log.hpp"
#include "xenio/device_nodes.hpp"
#include "xenio/loopback/channels.hpp"
#include "xenio/loopback/message_socket.hpp"
#include "xenio/loopback/offers.hpp"
#include "xenio/loopback/wire.hpp"
#include "xenio/memory_tree.hpp"

namespace vtpm::xenio::loopback {

namespace {

using connection_id = std::uint64_t;

/// Connections that have not claimed anything yet; one more ends the oldest, so
/// that whoever only connects keeps nobody out.
constexpr std::size_t handshakes_max = 256;

/// Messages, and new connections, that one look takes, so that a flood on one
/// socket keeps nobody else waiting.
constexpr int messages_per_look = 2;

/// DOMID_FIRST_RESERVED (xen/include/public/xen.h).
constexpr domid domid_first_reserved = 0x7FF0;

/// What a frontend may write into its own directory.
constexpr std::array<std::string_view, 4> frontend_keys
  = {"ring-ref", "event-channel", "feature-protocol-v2", "state"};

/// What a frontend is told of the backend's directory.
constexpr std::array<std::string_view, 2> backend_keys
  = {"feature-protocol-v2", "state"};

template <class Keys>
bool contains(const Keys& keys, std::string_view key) noexcept {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

struct connection {
  descriptor socket;
  uid_t user;
  /// Set once its claim is accepted.
  std::optional<device_id> device;
};

class hub_impl final : public hub {
public:
  hub_impl(event_loop& loop, descriptor listener, std::string socket_path,
           std::vector<claim_rule> rules, hub_limits limits);

  ~hub_impl() override;

  grant_mapper& grants() override {
    return grants_;
  }

  event_channels& events() override {
    return channels_;
  }

  xenio::store& store() override {
    return tree_;
  }

private:
  using verdict = std::optional<wire::refusal>;

  void on_connect();
  void admit(descriptor socket);
  void on_message(connection_id id);
  verdict handle(connection_id id, connection& from, packet message);
  verdict claim(connection_id id, connection& from, const wire::claim& what);
  verdict write(const connection& from, const wire::node& what);
  bool permitted(uid_t user, const wire::claim& what) const;
  void drop(connection_id id);
  void on_backend_change(const std::string& path);

  event_loop& loop_;
  descriptor listener_;
  std::string socket_path_;
  struct stat socket_file_ = {};
  /// Given up for a moment to accept, and so get rid of, a connection when the
  /// process has no descriptor left; else the loop would spin.
  descriptor reserve_;
  std::vector<claim_rule> rules_;
  hub_limits limits_;
  memory_tree tree_;
  offers offers_;
  page_grants grants_{offers_};
  doorbell_channels channels_{offers_};
  std::map<connection_id, connection> connections_;
  std::set<connection_id> unclaimed_;
  std::map<device_id, connection_id> devices_;
  connection_id next_id_ = 1;
  const std::string backend_prefix_;
};

std::string lower_case(std::string text) {
  for (auto& c : text)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return text;
}

descriptor open_reserve() {
  return descriptor{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
}

hub_impl::hub_impl(event_loop& loop, descriptor listener,
                   std::string socket_path, std::vector<claim_rule> rules,
                   hub_limits limits)
  : loop_(loop),
    listener_(std::move(listener)),
    socket_path_(std::move(socket_path)),
    reserve_(open_reserve()),
    rules_(std::move(rules)),
    limits_(limits),
    tree_(loop),
    offers_(loop),
    backend_prefix_("/local/domain/0/" + std::string{backend_root}) {
  if (rules_.empty())
    rules_.push_back({::geteuid(), {}, {}, {}});
  for (auto& rule : rules_)
    if (rule.uuid)
      rule.uuid = lower_case(*std::move(rule.uuid));
  ::lstat(socket_path_.c_str(), &socket_file_);
  loop_.watch(listener_.get(), [this] { on_connect(); });
  tree_.watch(backend_prefix_,
              [this](const std::string& path) { on_backend_change(path); });
}

hub_impl::~hub_impl() {
  loop_.unwatch(listener_.get());
  for (const auto& [id, peer] : connections_)
    loop_.unwatch(peer.socket.get());
  // A successor may have put its own socket there.
  struct stat now = {};
  if (::lstat(socket_path_.c_str(), &now) == 0
      && now.st_dev == socket_file_.st_dev && now.st_ino == socket_file_.st_ino)
    ::unlink(socket_path_.c_str());
}

// -- connections --------------------------------------------------------------

void hub_impl::on_connect() {
  for (auto i = 0; i < messages_per_look; ++i) {
    auto socket = descriptor{::accept4(listener_.get(), nullptr, nullptr,
                                       SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (socket) {
      admit(std::move(socket));
      continue;
    }
    if (errno != EMFILE && errno != ENFILE)
      return;
    reserve_.reset();
    socket = descriptor{::accept4(listener_.get(), nullptr, nullptr,
                                  SOCK_NONBLOCK | SOCK_CLOEXEC)};
    socket.reset();
    reserve_ = open_reserve();
  }
}

void hub_impl::admit(descriptor socket) {
  const auto user = peer_user(socket.get());
  if (!user)
    return;
  if (unclaimed_.size() >= handshakes_max)
    drop(*unclaimed_.begin());
  const auto id = next_id_++;
  const auto fd = socket.get();
  connections_.emplace(id, connection{std::move(socket), *user, {}});
  unclaimed_.insert(id);
  loop_.watch(fd, [this, id] { on_message(id); });
}

void hub_impl::on_message(connection_id id) {
  for (auto i = 0; i < messages_per_look; ++i) {
    auto peer = connections_.find(id);
    if (peer == connections_.end())
      return;
    auto got = receive_packet(peer->second.socket.get());
    if (got && !*got)
      return;
    if (!got && got.error().code != errc::protocol) {
      drop(id);
      return;
    }
    auto reason = got
      ? handle(id, peer->second, **std::move(got))
      : verdict{{wire::refusal_code::malformed, got.error().detail}};
    if (reason) {
      // No higher: any process that may connect can repeat it.
      log().debug("loopback: user {} refused: {}", peer->second.user,
                  reason->reason);
      // Best effort: whoever does not read it loses only the explanation.
      (void)send_packet(peer->second.socket.get(),
                        wire::encode(*std::move(reason)));
      drop(id);
      return;
    }
  }
}

void hub_impl::drop(connection_id id) {
  auto peer = connections_.extract(id);
  if (peer.empty())
    return;
  loop_.unwatch(peer.mapped().socket.get());
  unclaimed_.erase(id);
  if (const auto& device = peer.mapped().device) {
    devices_.erase(*device);
    offers_.withdraw(*device);
    remove_device(tree_, device->domain, device->handle);
  }
}

// -- messages from frontends --------------------------------------------------

hub_impl::verdict hub_impl::handle(connection_id id, connection& from,
                                   packet message) {
  using code = wire::refusal_code;
  const auto content = wire::decode(message.octets);
  if (!content)
    return wire::refusal{code::malformed, content.error().detail};
  const auto page = std::get_if<wire::page>(&*content);
  const auto doorbell = std::get_if<wire::doorbell>(&*content);
  const auto node = std::get_if<wire::node>(&*content);
  const auto first = std::get_if<wire::claim>(&*content);
  const auto needs = page || doorbell ? 1u : 0u;
  if (message.descriptors.size() != needs)
    return wire::refusal{code::malformed,
                         "a message with "
                           + std::to_string(message.descriptors.size())
                           + " descriptors, not " + std::to_string(needs)};
  if (first)
    return claim(id, from, *first);
  if (!from.device)
    return wire::refusal{code::malformed, "a message before the claim"};
  if (node)
    return write(from, *node);
  if (!needs)
    return wire::refusal{code::malformed, "a message that only vtpmd sends"};
  auto added = page ? offers_.add_page(*from.device, page->number,
                                       std::move(message.descriptors[0]))
                    : offers_.add_doorbell(*from.device, doorbell->number,
                                           std::move(message.descriptors[0]));
  if (!added)
    return wire::refusal{code::malformed, added.error().detail};
  return std::nullopt;
}

bool hub_impl::permitted(uid_t user, const wire::claim& what) const {
  return std::any_of(rules_.begin(), rules_.end(), [&](const auto& rule) {
    return rule.uid == user && rule.domain.value_or(what.domain) == what.domain
      && rule.handle.value_or(what.handle) == what.handle
      && (!rule.uuid || *rule.uuid == what.uuid);
  });
}

hub_impl::verdict hub_impl::claim(connection_id id, connection& from,
                                  const wire::claim& what) {
  using code = wire::refusal_code;
  if (from.device)
    return wire::refusal{code::malformed, "a second claim on one connection"};
  if (what.version != wire::version)
    return wire::refusal{code::malformed,
                         "this vtpmd speaks version "
                           + std::to_string(wire::version)
                           + " of the loopback"};
  const auto device = device_id{what.domain, what.handle};
  const auto name
    = std::to_string(what.domain) + '/' + std::to_string(what.handle);
  if (what.domain >= domid_first_reserved || !permitted(from.user, what))
    return wire::refusal{code::denied,
                         "user " + std::to_string(from.user)
                           + " may not claim frontend " + name + " as "
                           + what.uuid};
  if (auto holder = devices_.find(device); holder != devices_.end()) {
    if (!hung_up(connections_.at(holder->second).socket.get()))
      return wire::refusal{code::claimed,
                           "another process has frontend " + name};
    drop(holder->second);
  }
  if (offers_.in_use(device))
    return wire::refusal{code::closing,
                         "the backend is still closing frontend " + name};
  if (devices_.size() >= limits_.frontends_max)
    return wire::refusal{code::full,
                         "there are " + std::to_string(devices_.size())
                           + " frontends, and no more are served"};
  if (!send_packet(from.socket.get(),
                   wire::encode(wire::accepted{wire::version})))
    return wire::refusal{code::malformed, "the peer does not listen"};
  from.device = device;
  unclaimed_.erase(id);
  devices_.emplace(device, id);
  announce_device(tree_, what.domain, what.handle, what.uuid);
  return std::nullopt;
}

hub_impl::verdict hub_impl::write(const connection& from,
                                  const wire::node& what) {
  if (!contains(frontend_keys, what.key))
    return wire::refusal{wire::refusal_code::denied,
                         "a frontend may not write that node"};
  const auto path
    = frontend_path(from.device->domain, from.device->handle) + '/' + what.key;
  if (what.value)
    tree_.set(path, *what.value);
  else
    tree_.erase(path);
  return std::nullopt;
}

// -- news for frontends -------------------------------------------------------

/// Reads a number that ends at '/' or the end, and takes both off `text`.
template <class T>
std::optional<T> take_number(std::string_view& text) {
  T value = 0;
  const auto end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc{} || (parsed.ptr != end && *parsed.ptr != '/'))
    return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
  text.remove_prefix(text.empty() ? 0 : 1);
  return value;
}

void hub_impl::on_backend_change(const std::string& path) {
  auto rest = std::string_view{path}.substr(backend_prefix_.size());
  if (rest.empty())
    return;
  rest.remove_prefix(1);
  const auto domain = take_number<domid>(rest);
  const auto handle = take_number<std::uint32_t>(rest);
  if (!domain || !handle)
    return;
  const auto holder = devices_.find({*domain, *handle});
  if (holder == devices_.end())
    return;
  // The directory itself: the backend has removed it.
  const auto key = std::string{rest.empty() ? "state" : rest};
  if (!contains(backend_keys, key))
    return;
  auto value = tree_.get(backend_path(*domain, *handle) + '/' + key);
  if (value && value->size() > wire::value_size_max)
    return;
  const auto id = holder->second;
  if (!send_packet(connections_.at(id).socket.get(),
                   wire::encode(wire::node{key, std::move(value)})))
    drop(id);
}

} // namespace

result<std::unique_ptr<hub>> hub::listen(event_loop& loop,
                                         const std::string& socket_path,
                                         std::vector<claim_rule> rules,
                                         hub_limits limits) {
  auto listener = listen_at(socket_path);
  if (!listener)
    return listener.error();
  return std::unique_ptr<hub>{std::make_unique<hub_impl>(
    loop, *std::move(listener), socket_path, std::move(rules), limits)};
}

} // namespace vtpm::xenio::loopback
