#include "tpm/hardware/counter_keeper.hpp"

#include <string>

namespace vtpm::tpm {

result<unit> counter_keeper::raise(std::uint64_t number) {
  auto now = read();
  while (now && now->value != number) {
    // At the end of a block there is one value that no image has.
    const auto value = now->value;
    if (value > number || number - value > 2)
      return error{errc::hardware,
                   "the hardware TPM's counter is at " + std::to_string(value)
                     + " and should go to " + std::to_string(number)
                     + ": somebody else counts, too, or the TPM was reset "
                       "meanwhile; start again"};
    now = hardware_.increment_counter(counter_);
  }
  if (!now)
    return now.error();
  return unit{};
}

} // namespace vtpm::tpm
