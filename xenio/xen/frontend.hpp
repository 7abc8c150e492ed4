#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "xenio/frontend.hpp"
#include "xenio/xen/event_device.hpp"
#include "xenio/xen/page_sharer.hpp"
#include "xenio/xen/store_link.hpp"

namespace vtpm::xenio::xen {

/// What a frontend is made of. It waits for xenstored as often as it asks it,
/// without limit: libxenstore knows none.
struct frontend_parts {
  std::unique_ptr<store_link> store;
  std::unique_ptr<event_device> events;
  std::unique_ptr<page_sharer> pages;
};

/// Opens the drivers and XenStore.
result<frontend_parts> open_frontend_parts();

/// Connects to the backend of one of our devices, in the place of a driver of
/// the kernel, and goes through the xenbus states until both sides are
/// Connected. A connection that an earlier frontend left behind is closed
/// first. At its end the device is as a toolstack makes it, for whoever comes
/// next.
/// @param device The device's directory, such as "device/vtpm/0".
/// @param limit How long the handshake may take.
result<std::unique_ptr<frontend>> connect(frontend_parts parts,
                                          std::string device,
                                          std::chrono::milliseconds limit
                                          = std::chrono::seconds{10});

} // namespace vtpm::xenio::xen
