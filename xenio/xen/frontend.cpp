#include "xenio/xen/frontend.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <initializer_list>
#include <optional>
#include <thread>
#include <utility>

#include <poll.h>

#include "protocol/decimal.hpp"
#include "protocol/tpmif.hpp"
#include "xenio/guest_side.hpp"
#include "xenio/ring_frontend.hpp"

namespace vtpm::xenio::xen {

namespace {

using milliseconds = std::chrono::milliseconds;

/// How long to wait for the backend to let go of our page in the end.
constexpr auto farewell = milliseconds{1000};

/// Between two attempts to connect again.
constexpr auto pause = milliseconds{100};

/// Of our one watch.
const std::string token = "backend";

/// What became readable.
struct readiness {
  bool events;
  bool store;
};

class xen_frontend final : public ring_frontend {
public:
  xen_frontend(frontend_parts parts, std::string device)
    : parts_(std::move(parts)), device_(std::move(device)) {
    // nop
  }

  ~xen_frontend() override;

  /// Makes one attempt to get both sides Connected.
  result<unit> attach(clock::time_point deadline);

  int descriptor() const noexcept override {
    return parts_.events->descriptor();
  }

  result<std::optional<completion>> poll() override;

protected:
  shared_page& page() const noexcept override {
    return *page_;
  }

  bool ring_doorbell() noexcept override {
    parts_.events->notify(port_);
    return true;
  }

  result<unit> await_free_page(clock::time_point deadline) override;

private:
  result<unit> find_backend();
  result<unit> prepare_page();
  result<unit> publish();
  result<xenbus_state> backend_state();
  result<xenbus_state> await_backend(std::initializer_list<xenbus_state> wanted,
                                     clock::time_point deadline);
  result<unit> attach_until(clock::time_point deadline);
  result<unit> write(const char* key, const std::string& text);
  result<unit> write_state(xenbus_state state);
  readiness wait(milliseconds limit) const;
  void take_event();
  result<unit> take_changes();
  void drop_port() noexcept;
  void detach();

  frontend_parts parts_;
  std::string device_;
  /// The backend's directory, absolute.
  std::string backend_;
  domid backend_domain_ = 0;
  /// Whose page this is for; kept while it is the same domain's.
  domid page_domain_ = 0;
  std::unique_ptr<granted_page> page_;
  port port_ = 0;
  bool has_port_ = false;
  bool is_watching_ = false;
};

xenbus_state parse_state(const store::value& text) noexcept {
  const auto number = protocol::parse_decimal<unsigned>(text.value_or(""));
  return number && *number <= static_cast<unsigned>(xenbus_state::closed)
    ? static_cast<xenbus_state>(*number)
    : xenbus_state::unknown;
}

xen_frontend::~xen_frontend() {
  if (has_port_)
    detach();
  drop_port();
}

/// As mini-os' driver does. Nobody is left to be told of what fails.
void xen_frontend::detach() {
  auto& store = *parts_.store;
  // A device that was taken away is not made anew.
  const auto backend = store.read(device_ + "/backend");
  if (!backend || !*backend)
    return;
  (void)write_state(xenbus_state::closing);
  (void)store.remove(device_ + "/event-channel");
  (void)store.remove(device_ + "/ring-ref");
  (void)write_state(xenbus_state::closed);
  const auto state = await_backend(
    {xenbus_state::init_wait, xenbus_state::closed, xenbus_state::unknown},
    clock::now() + farewell);
  if (state && *state != xenbus_state::unknown)
    (void)write_state(xenbus_state::initialising);
}

// -- XenStore -----------------------------------------------------------------

result<unit> xen_frontend::write(const char* key, const std::string& text) {
  return parts_.store->write(device_ + "/" + key, text);
}

result<unit> xen_frontend::write_state(xenbus_state state) {
  return write("state", std::to_string(static_cast<unsigned>(state)));
}

result<xenbus_state> xen_frontend::backend_state() {
  auto text = parts_.store->read(backend_ + "/state");
  if (!text)
    return text.error();
  return parse_state(*text);
}

result<unit> xen_frontend::find_backend() {
  auto& store = *parts_.store;
  const auto path = store.read(device_ + "/backend");
  if (!path)
    return path.error();
  const auto owner = store.read(device_ + "/backend-id");
  if (!owner)
    return owner.error();
  const auto domain = protocol::parse_decimal<domid>(owner->value_or(""));
  if (!*path || !domain)
    return error{errc::refused,
                 "there is no vTPM device at " + device_
                   + ": attach one (xl vtpm-attach)"};
  if (is_watching_ && **path != backend_) {
    if (auto ended = store.unwatch(backend_, token); !ended)
      return ended;
    is_watching_ = false;
  }
  backend_ = **path;
  backend_domain_ = *domain;
  if (!std::exchange(is_watching_, true))
    return store.watch(backend_, token);
  return unit{};
}

result<unit> xen_frontend::take_changes() {
  for (;;) {
    const auto change = parts_.store->next_event();
    if (!change)
      return change.error();
    if (!*change)
      return unit{};
  }
}

result<xenbus_state> xen_frontend::await_backend(
  std::initializer_list<xenbus_state> wanted, clock::time_point deadline) {
  for (;;) {
    if (auto taken = take_changes(); !taken)
      return taken.error();
    auto state = backend_state();
    if (!state
        || std::find(wanted.begin(), wanted.end(), *state) != wanted.end())
      return state;
    const auto left = left_until(deadline);
    if (left.count() == 0)
      return error{errc::timed_out,
                   std::string{"the backend at "} + backend_
                     + " does not follow: it is " + to_string(*state)};
    wait(left);
  }
}

// -- connecting ---------------------------------------------------------------

void xen_frontend::drop_port() noexcept {
  if (std::exchange(has_port_, false))
    parts_.events->unbind(port_);
}

/// Makes the page, or one for another domain with the old one's content: a
/// request may wait in it.
result<unit> xen_frontend::prepare_page() {
  if (page_ && page_domain_ == backend_domain_)
    return unit{};
  auto made = parts_.pages->share(backend_domain_);
  if (!made)
    return made.error();
  if (page_) {
    std::array<std::uint8_t, protocol::page_size> content;
    [[maybe_unused]] const auto copied
      = page_->copy_in(0, content) && (*made)->copy_out(0, content);
    assert(copied);
  }
  page_ = *std::move(made);
  page_domain_ = backend_domain_;
  return unit{};
}

result<unit> xen_frontend::publish() {
  if (auto done = write("ring-ref", std::to_string(page_->ref())); !done)
    return done;
  if (auto done = write("event-channel", std::to_string(port_)); !done)
    return done;
  if (auto done = write("feature-protocol-v2", "1"); !done)
    return done;
  return write_state(xenbus_state::initialised);
}

result<unit> xen_frontend::attach(clock::time_point deadline) {
  if (auto found = find_backend(); !found)
    return found;
  auto state = backend_state();
  if (!state)
    return state.error();
  if (*state != xenbus_state::init_wait
      && *state != xenbus_state::initialising) {
    // A connection of before, or the refusal of one.
    if (auto closed = write_state(xenbus_state::closed); !closed)
      return closed;
  }
  if (state = await_backend({xenbus_state::init_wait}, deadline); !state)
    return state.error();
  drop_port();
  if (auto prepared = prepare_page(); !prepared)
    return prepared;
  auto bound = parts_.events->bind_unbound(backend_domain_);
  if (!bound)
    return bound.error();
  port_ = *bound;
  has_port_ = true;
  if (auto published = publish(); !published)
    return published;
  state = await_backend({xenbus_state::connected, xenbus_state::closing,
                         xenbus_state::closed, xenbus_state::unknown},
                        deadline);
  if (!state)
    return state.error();
  if (*state != xenbus_state::connected)
    return error{errc::refused, "the backend refuses the connection"};
  const auto feature = parts_.store->read(backend_ + "/feature-protocol-v2");
  if (!feature)
    return feature.error();
  if (*feature != "1")
    return error{errc::protocol, "the backend does not speak tpmif version 2"};
  return write_state(xenbus_state::connected);
}

/// Attempts again while the device or its backend is not there.
result<unit> xen_frontend::attach_until(clock::time_point deadline) {
  for (;;) {
    auto attached = attach(deadline);
    if (attached || attached.error().code == errc::gone
        || left_until(deadline) <= pause)
      return attached;
    std::this_thread::sleep_for(pause);
  }
}

// -- requests -----------------------------------------------------------------

readiness xen_frontend::wait(milliseconds limit) const {
  std::array<pollfd, 2> ready = {pollfd{parts_.events->descriptor(), POLLIN, 0},
                                 pollfd{parts_.store->descriptor(), POLLIN, 0}};
  const auto count
    = ::poll(ready.data(), ready.size(), static_cast<int>(limit.count()));
  return {count > 0 && ready[0].revents != 0,
          count > 0 && ready[1].revents != 0};
}

void xen_frontend::take_event() {
  if (const auto rung = parts_.events->take())
    parts_.events->unmask(*rung);
}

result<unit> xen_frontend::await_free_page(clock::time_point deadline) {
  while (!is_free(*page_)) {
    const auto left = left_until(deadline);
    if (left.count() == 0)
      return error{errc::timed_out, "no response in time"};
    const auto ready = wait(left);
    if (ready.events)
      take_event();
    if (!ready.store)
      continue;
    if (auto taken = take_changes(); !taken)
      return taken;
    const auto state = backend_state();
    if (!state)
      return state.error();
    // A backend process that was killed and started again takes over page and
    // event channel, and its state does not change. Any other state means that
    // it has forgotten us.
    if (*state == xenbus_state::connected)
      continue;
    if (auto attached = attach_until(deadline); !attached)
      return attached;
  }
  return unit{};
}

result<std::optional<frontend::completion>> xen_frontend::poll() {
  while (wait(milliseconds{0}).events)
    take_event();
  return look();
}

} // namespace

result<frontend_parts> open_frontend_parts() {
  frontend_parts parts;
  auto pages = open_page_sharer();
  if (!pages)
    return pages.error();
  parts.pages = *std::move(pages);
  auto events = open_event_device();
  if (!events)
    return events.error();
  parts.events = *std::move(events);
  auto store = open_store_link();
  if (!store)
    return store.error();
  parts.store = *std::move(store);
  return parts;
}

result<std::unique_ptr<frontend>> connect(frontend_parts parts,
                                          std::string device,
                                          milliseconds limit) {
  auto made
    = std::make_unique<xen_frontend>(std::move(parts), std::move(device));
  auto attached = made->attach(std::chrono::steady_clock::now() + limit);
  if (!attached)
    return attached.error();
  return std::unique_ptr<frontend>{std::move(made)};
}

} // namespace vtpm::xenio::xen
