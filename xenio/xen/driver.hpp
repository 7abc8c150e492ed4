#pragma once

#include "xenio/errc.hpp"

struct xentoollog_logger;

namespace vtpm::xenio::xen {

/// Returns what to tell the operator when one of the Xen drivers' devices does
/// not open.
/// @param device Its path.
/// @param module The kernel module that makes it.
error driver_error(const char* device, const char* module, int os_error);

/// Returns a logger that says nothing: the libraries would write a line to
/// standard error for every grant reference that a guest makes up.
xentoollog_logger* silent_logger() noexcept;

} // namespace vtpm::xenio::xen
