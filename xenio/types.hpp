#pragma once

#include <cstdint>

namespace vtpm::xenio {

/// A domain's number; new with every boot of the domain.
using domid = std::uint16_t;

/// Names a page that a domain granted.
using grant_ref = std::uint32_t;

/// One end of an event channel.
using port = std::uint32_t;

/// XenbusState (xen/include/public/io/xenbus.h).
enum class xenbus_state : std::uint8_t {
  unknown = 0,
  initialising = 1,
  init_wait = 2,
  initialised = 3,
  connected = 4,
  closing = 5,
  closed = 6,
};

/// Returns the enumerator's name, for logs and test output.
const char* to_string(xenbus_state state) noexcept;

} // namespace vtpm::xenio
