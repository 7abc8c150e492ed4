#pragma once

#include <memory>

#include "xenio/errc.hpp"
#include "xenio/event_loop.hpp"
#include "xenio/hypervisor.hpp"

namespace vtpm::xenio::xen {

/// Opens the Xen hypervisor that this domain runs on, and its XenStore.
/// @param loop Outlives the result. Its thread destroys it.
result<std::unique_ptr<hypervisor>> open(event_loop& loop);

} // namespace vtpm::xenio::xen
