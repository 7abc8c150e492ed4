#include "tpm/engine.hpp"

namespace vtpm::tpm {

engine::~engine() {
  // nop
}

} // namespace vtpm::tpm
