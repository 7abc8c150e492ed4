#include "xenio/xen/admin_device.hpp"

#include <chrono>
#include <initializer_list>
#include <utility>

#include <poll.h>

#include "protocol/decimal.hpp"

namespace vtpm::xenio::xen {

namespace {

using clock = std::chrono::steady_clock;

/// libxl gives a backend 10 s to close; this one has nothing under way.
constexpr auto closing_limit = std::chrono::seconds{5};

std::string home(domid domain) {
  return "/local/domain/" + std::to_string(domain);
}

} // namespace

admin_device::admin_device(std::unique_ptr<store_link> store, domid self,
                           domid backend, std::uint32_t handle)
  : store_(std::move(store)),
    self_(self),
    backend_domain_(backend),
    handle_(handle),
    parent_(home(backend) + "/backend/vtpm/" + std::to_string(self)),
    backend_(parent_ + "/" + std::to_string(handle)),
    // Not below device/, where the kernel would take it for its driver's.
    frontend_(home(self) + "/vtpmctl/" + std::to_string(backend) + "/"
              + std::to_string(handle)) {
  // nop
}

result<std::unique_ptr<admin_device>> admin_device::obtain(
  std::unique_ptr<store_link> store, domid backend, std::uint32_t handle) {
  const auto own = store->read("domid");
  if (!own)
    return own.error();
  const auto self = protocol::parse_decimal<domid>(own->value_or(""));
  if (!self)
    return error{errc::io, "XenStore does not say which domain this is"};
  const auto nodes = store->list(home(backend));
  if (!nodes)
    return nodes.error();
  if (nodes->empty())
    return error{errc::refused,
                 "there is no domain " + std::to_string(backend)};
  std::unique_ptr<admin_device> made{
    new admin_device{std::move(store), *self, backend, handle}};
  const auto existing = made->store_->read(made->backend_ + "/frontend");
  if (!existing)
    return existing.error();
  if (existing->value_or(made->frontend_) != made->frontend_) {
    made->frontend_ = **existing;
    return made;
  }
  // What a vtpmctl that was killed left behind is ours, too.
  made->is_ours_ = true;
  if (!*existing)
    if (auto done = made->make(); !done)
      return done.error();
  return made;
}

result<unit> admin_device::make() {
  struct node {
    std::string path;
    std::string text;
  };
  if (auto made = store_->make(frontend_, self_, backend_domain_); !made)
    return made;
  if (auto made = store_->make(backend_, backend_domain_, self_); !made)
    return made;
  // The state last: a backend looks at nothing without it.
  for (const auto& [path, text] : std::initializer_list<node>{
         {frontend_ + "/backend", backend_},
         {frontend_ + "/backend-id", std::to_string(backend_domain_)},
         {frontend_ + "/handle", std::to_string(handle_)},
         {frontend_ + "/state", "1"},
         {backend_ + "/frontend", frontend_},
         {backend_ + "/frontend-id", std::to_string(self_)},
         {backend_ + "/online", "1"},
         {backend_ + "/handle", std::to_string(handle_)},
         {backend_ + "/uuid", uuid},
         {backend_ + "/state", "1"}})
    if (auto written = store_->write(path, text); !written)
      return written;
  return unit{};
}

admin_device::~admin_device() {
  if (!is_ours_)
    return;
  // A backend that has removed its nodes already is not given them back.
  if (const auto state = store_->read(backend_ + "/state"); state && *state) {
    await_closed();
    (void)store_->remove(backend_);
  }
  (void)store_->remove(frontend_);
  if (const auto others = store_->list(parent_); others && others->empty())
    (void)store_->remove(parent_);
}

void admin_device::await_closed() {
  if (!store_->watch(backend_, "closed")
      || !store_->write(backend_ + "/online", "0")
      || !store_->write(backend_ + "/state", "5"))
    return;
  const auto deadline = clock::now() + closing_limit;
  for (;;) {
    while (auto change = store_->next_event())
      if (!*change)
        break;
    const auto state = store_->read(backend_ + "/state");
    const auto left
      = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now());
    if (!state || !*state || **state == "6" || left.count() <= 0)
      return;
    pollfd ready{store_->descriptor(), POLLIN, 0};
    ::poll(&ready, 1, static_cast<int>(left.count()));
  }
}

} // namespace vtpm::xenio::xen
