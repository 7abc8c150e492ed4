#include "xenio/xen/open.hpp"

#include <utility>

#include "xenio/xen/event_device.hpp"
#include "xenio/xen/foreign_grants.hpp"
#include "xenio/xen/port_channels.hpp"
#include "xenio/xen/store_link.hpp"
#include "xenio/xen/store_thread.hpp"

namespace vtpm::xenio::xen {

namespace {

class xen_hypervisor final : public hypervisor {
public:
  xen_hypervisor(std::unique_ptr<foreign_grants> grants,
                 std::unique_ptr<port_channels> events,
                 std::unique_ptr<store_thread> store) noexcept
    : grants_(std::move(grants)),
      events_(std::move(events)),
      store_(std::move(store)) {
    // nop
  }

  grant_mapper& grants() override {
    return *grants_;
  }

  event_channels& events() override {
    return *events_;
  }

  xenio::store& store() override {
    return *store_;
  }

private:
  std::unique_ptr<foreign_grants> grants_;
  std::unique_ptr<port_channels> events_;
  std::unique_ptr<store_thread> store_;
};

} // namespace

result<std::unique_ptr<hypervisor>> open(event_loop& loop) {
  auto grants = foreign_grants::open();
  if (!grants)
    return grants.error();
  auto device = open_event_device();
  if (!device)
    return device.error();
  auto link = open_store_link();
  if (!link)
    return link.error();
  auto store = store_thread::start(loop, *std::move(link));
  if (!store)
    return store.error();
  auto events = std::make_unique<port_channels>(loop, *std::move(device));
  return std::unique_ptr<hypervisor>{std::make_unique<xen_hypervisor>(
    *std::move(grants), std::move(events), *std::move(store))};
}

} // namespace vtpm::xenio::xen
