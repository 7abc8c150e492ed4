// Goal: whatever stands in a state file of swtpm, or in a list of fields that a
// key has opened, reading it neither crashes nor reads beyond its end.

#include <cstdlib>

#include "tpm/slot_payload.hpp"
#include "tpm/swtpm_state.hpp"

using namespace vtpm;
using namespace vtpm::tpm;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  // A copy of its own, so that the sanitizer sees its end.
  const auto octets = byte_vector(data, data + size);
  const auto state = decode_swtpm_file(octets);
  if (state && (state->empty() || state->size() >= octets.size()))
    std::abort();
  const auto payload = decode_payload(octets);
  if (payload && payload->shadow_key.size() != shadow_key_size)
    std::abort();
  return 0;
}
