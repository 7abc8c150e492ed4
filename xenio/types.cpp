#include "xenio/types.hpp"

namespace vtpm::xenio {

const char* to_string(xenbus_state state) noexcept {
  switch (state) {
    case xenbus_state::unknown:
      return "unknown";
    case xenbus_state::initialising:
      return "initialising";
    case xenbus_state::init_wait:
      return "init_wait";
    case xenbus_state::initialised:
      return "initialised";
    case xenbus_state::connected:
      return "connected";
    case xenbus_state::closing:
      return "closing";
    case xenbus_state::closed:
      return "closed";
  }
  return "unknown xenio::xenbus_state";
}

} // namespace vtpm::xenio
