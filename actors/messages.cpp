#include "actors/messages.hpp"

namespace vtpm::actors {

std::string to_string(const frontend_id& id) {
  return std::to_string(id.domain) + "/" + std::to_string(id.handle);
}

const char* to_string(frontend_state state) noexcept {
  switch (state) {
    case frontend_state::waiting:
      return "waiting";
    case frontend_state::resetting:
      return "resetting";
    case frontend_state::connected:
      return "connected";
    case frontend_state::refused:
      return "refused";
    case frontend_state::removed:
      return "removed";
  }
  return "unknown";
}

frontend_counters& frontend_counters::operator+=(
  const frontend_counters& more) noexcept {
  commands += more.commands;
  errors += more.errors;
  malformed += more.malformed;
  denied += more.denied;
  refused += more.refused;
  cancels += more.cancels;
  bytes_in += more.bytes_in;
  bytes_out += more.bytes_out;
  latency += more.latency;
  return *this;
}

std::string explain(const caf::error& reason) {
  if (reason == domain_errc::cancelled)
    return "cancelled before it ran";
  if (reason == domain_errc::stopped)
    return "the TPM has stopped because its state cannot be stored: mend the "
           "storage and restart vtpmd";
  if (reason == domain_errc::draining)
    return "vtpmd is about to exit";
  if (reason == domain_errc::unknown_outcome)
    return "the TPM's newest state could not be stored: mend the storage and "
           "restart vtpmd";
  if (reason == domain_errc::engine_failed)
    return "the TPM engine did not come up again: restart vtpmd";
  return "internal error " + caf::to_string(reason);
}

} // namespace vtpm::actors
