#pragma once

#include "xenio/event_channels.hpp"
#include "xenio/grant_mapper.hpp"
#include "xenio/store.hpp"

namespace vtpm::xenio {

/// All that a backend needs of what lies between it and its guests: a
/// hypervisor, or what stands in for it. On the event loop's thread only.
class hypervisor {
public:
  virtual ~hypervisor() = default;

  virtual grant_mapper& grants() = 0;
  virtual event_channels& events() = 0;
  virtual xenio::store& store() = 0;
};

} // namespace vtpm::xenio
