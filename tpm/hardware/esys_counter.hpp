#pragma once

#include "tpm/hardware/esys_link.hpp"

// Counters in NV memory, see `hardware_tpm`.

namespace vtpm::tpm {

result<counter_reading> define_counter(esys_link& link,
                                       const nv_counter& counter);

result<counter_reading> read_counter(esys_link& link,
                                     const nv_counter& counter);

result<counter_reading> increment_counter(esys_link& link,
                                          const nv_counter& counter);

result<unit> remove_counter(esys_link& link, const nv_counter& counter);

} // namespace vtpm::tpm
