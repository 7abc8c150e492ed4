#pragma once

#include <charconv>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "protocol/tpmif.hpp"
#include "xenio/event_channels.hpp"
#include "xenio/grant_mapper.hpp"
#include "xenio/store.hpp"

namespace vtpm::tests {

/// A backend that answers each request with `answer` of it. As short as the
/// handshake allows; the product's own is in the actors.
class echo_backend {
public:
  using transform = std::function<byte_vector(byte_vector)>;

  echo_backend(xenio::grant_mapper& grants, xenio::event_channels& events,
               xenio::store& store)
    : grants_(grants), events_(events), store_(store) {
    watch_ = store_.watch("backend/vtpm", [this](const std::string& path) {
      on_backend_change(path);
    });
  }

  ~echo_backend() {
    store_.unwatch(watch_);
    is_clinging = false;
    forget_all();
  }

  /// Reverses the octets unless a test says otherwise.
  transform answer = [](byte_vector request) {
    return byte_vector{request.rbegin(), request.rend()};
  };
  /// While set, requests stay in the page.
  bool is_stuck = false;
  /// While set, frontends that want to connect are refused.
  bool is_refusing = false;
  /// While set, frontends are not told of responses.
  bool is_silent = false;
  /// While set, requests are given back without a response.
  bool is_aborting = false;
  /// While set, what a frontend that is gone has offered stays in use.
  bool is_clinging = false;
  /// Why the last frontend could not be connected.
  std::optional<xenio::error> last_error;

  std::size_t connected() const {
    std::size_t count = 0;
    for (const auto& [key, one] : rings_)
      count += one.page ? 1u : 0u;
    return count;
  }

  std::size_t known() const {
    return rings_.size();
  }

  /// Rings all frontends' doorbells.
  void notify_all() {
    for (const auto& [key, one] : rings_)
      if (one.page)
        events_.notify(one.channel);
  }

  /// Looks at every page, as after `is_stuck`.
  void look_at_all() {
    for (const auto& [key, one] : rings_)
      on_event(key);
  }

  /// Lets go of every frontend.
  void forget_all() {
    while (!rings_.empty())
      forget(rings_.begin()->first);
  }

  /// Goes back to waiting for a connection, with every frontend.
  void disconnect_all() {
    for (auto& [key, one] : rings_)
      disconnect(key, one);
  }

  int events_seen = 0;
  /// Looks at a page that held a request.
  int submits_seen = 0;
  /// Frontends that went Closed.
  int closes = 0;
  protocol::page_header last_header = {};

private:
  struct ring {
    xenio::store::watch_id watch = 0;
    std::unique_ptr<xenio::shared_page> page;
    xenio::port channel = 0;
    xenio::domid domain = 0;
  };

  static std::uint32_t number(const xenio::store::value& text) {
    std::uint32_t parsed = 0;
    if (text)
      std::from_chars(text->data(), text->data() + text->size(), parsed);
    return parsed;
  }

  void on_backend_change(const std::string& path) {
    // backend/vtpm/DOMID/HANDLE, of whatever is below it.
    auto end = std::string::npos;
    std::size_t slashes = 0;
    for (std::size_t i = 0; i < path.size(); ++i)
      if (path[i] == '/' && ++slashes == 4)
        end = i;
    if (slashes < 3)
      return;
    const auto key = path.substr(0, end);
    store_.read({key + "/frontend", key + "/frontend-id"},
                [this, key](std::vector<xenio::store::value> found) {
                  if (!found[0])
                    forget(key);
                  else if (!rings_.contains(key))
                    meet(key, *found[0],
                         static_cast<xenio::domid>(number(found[1])));
                });
  }

  void meet(const std::string& key, const std::string& frontend,
            xenio::domid domain) {
    auto& one = rings_[key];
    one.domain = domain;
    set_state(key, xenio::xenbus_state::init_wait);
    store_.write(key + "/feature-protocol-v2", "1", {});
    one.watch = store_.watch(frontend + "/state",
                             [this, key, frontend](const std::string&) {
                               on_frontend_change(key, frontend);
                             });
  }

  void on_frontend_change(const std::string& key, const std::string& frontend) {
    store_.read({frontend + "/state", frontend + "/ring-ref",
                 frontend + "/event-channel"},
                [this, key](std::vector<xenio::store::value> found) {
                  auto entry = rings_.find(key);
                  if (entry == rings_.end())
                    return;
                  const auto state = number(found[0]);
                  if (state == 3 || state == 4)
                    connect(key, entry->second, number(found[1]),
                            number(found[2]));
                  else if (state == 5)
                    set_state(key, xenio::xenbus_state::closing);
                  else if (state == 6) {
                    ++closes;
                    disconnect(key, entry->second);
                  }
                });
  }

  void connect(const std::string& key, ring& one, xenio::grant_ref ref,
               xenio::port remote) {
    if (one.page)
      return;
    if (is_refusing) {
      set_state(key, xenio::xenbus_state::closed);
      return;
    }
    auto page = grants_.map(one.domain, ref);
    if (!page) {
      last_error = page.error();
      set_state(key, xenio::xenbus_state::closed);
      return;
    }
    auto channel
      = events_.bind(one.domain, remote, [this, key] { on_event(key); });
    if (!channel) {
      last_error = channel.error();
      set_state(key, xenio::xenbus_state::closed);
      return;
    }
    one.page = *std::move(page);
    one.channel = *channel;
    set_state(key, xenio::xenbus_state::connected);
    on_event(key);
  }

  void on_event(const std::string& key) {
    ++events_seen;
    auto& one = rings_.at(key);
    if (!one.page)
      return;
    const auto header = one.page->load_header();
    const auto state = static_cast<protocol::page_state>(header.state);
    submits_seen += state == protocol::page_state::submit ? 1 : 0;
    if (is_stuck)
      return;
    if (state == protocol::page_state::cancel) {
      one.page->store_state(protocol::page_state::idle);
      events_.notify(one.channel);
      return;
    }
    if (state != protocol::page_state::submit
        || header.length > header.packet_size_max())
      return;
    last_header = header;
    byte_vector request(header.length);
    (void)one.page->copy_in(header.packet_offset(), request);
    if (is_aborting) {
      one.page->store_state(protocol::page_state::idle);
      events_.notify(one.channel);
      return;
    }
    const auto response = answer(std::move(request));
    (void)one.page->copy_out(header.packet_offset(), response);
    one.page->store_length(static_cast<std::uint32_t>(response.size()));
    one.page->store_state(protocol::page_state::finish);
    if (!is_silent)
      events_.notify(one.channel);
  }

  void disconnect(const std::string& key, ring& one) {
    if (one.page) {
      events_.unbind(one.channel);
      one.page.reset();
    }
    set_state(key, xenio::xenbus_state::closed);
    set_state(key, xenio::xenbus_state::init_wait);
  }

  void forget(const std::string& key) {
    auto entry = rings_.find(key);
    if (entry == rings_.end() || is_clinging)
      return;
    store_.unwatch(entry->second.watch);
    if (entry->second.page)
      events_.unbind(entry->second.channel);
    rings_.erase(entry);
  }

  void set_state(const std::string& key, xenio::xenbus_state state) {
    store_.write(key + "/state", std::to_string(static_cast<unsigned>(state)),
                 {});
  }

  xenio::grant_mapper& grants_;
  xenio::event_channels& events_;
  xenio::store& store_;
  xenio::store::watch_id watch_ = 0;
  std::map<std::string, ring> rings_;
};

} // namespace vtpm::tests
