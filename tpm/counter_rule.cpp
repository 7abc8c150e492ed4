#include "tpm/counter_rule.hpp"

#include <string>

namespace vtpm::tpm {

namespace {

bool ends_block(std::uint64_t value, std::uint64_t window) noexcept {
  return window != 0 && (value & window) == window;
}

} // namespace

const char* to_string(counter_kind kind) noexcept {
  switch (kind) {
    case counter_kind::strict:
      return "strict";
    case counter_kind::orderly:
      return "orderly";
  }
  return "unknown counter";
}

std::uint64_t next_number(const counter_reading& counter) noexcept {
  const auto next = counter.value + 1;
  return ends_block(next, counter.window) ? next + 1 : next;
}

result<counter_verdict> judge(std::uint64_t number,
                              const counter_reading& counter) {
  const auto value = counter.value;
  if (number == value)
    return counter_verdict{};
  if (number == next_number(counter))
    return counter_verdict{true, 0};
  const auto numbers = "the store has number " + std::to_string(number)
    + ", the counter is at " + std::to_string(value);
  if (number > value)
    return error{errc::hardware,
                 "the counter in the hardware TPM is not the one that has "
                 "counted this store, or the TPM is another one; put back the "
                 "right disk or TPM, or restore a backup: "
                   + numbers};
  // In the block at whose end the counter is after its jump.
  if (ends_block(value, counter.window) && (number | counter.window) == value)
    return counter_verdict{false, value - number};
  return error{errc::rollback,
               "an older copy of the store was put back; bring back the newest "
               "one, or restore a backup: "
                 + numbers};
}

} // namespace vtpm::tpm
