#include "tpm/hardware/hardware_tpm.hpp"

namespace vtpm::tpm {

hardware_tpm::~hardware_tpm() = default;

} // namespace vtpm::tpm
