#include "xenio/descriptor.hpp"

#include <unistd.h>

namespace vtpm::xenio {

descriptor::~descriptor() {
  reset();
}

void descriptor::reset() noexcept {
  if (fd_ >= 0)
    ::close(std::exchange(fd_, -1));
}

} // namespace vtpm::xenio
