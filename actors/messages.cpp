#include "actors/messages.hpp"

namespace vtpm::actors {

std::string to_string(const frontend_id& id) {
  return std::to_string(id.domain) + "/" + std::to_string(id.handle);
}

std::string to_string(domain_errc code) {
  switch (code) {
    case domain_errc::cancelled:
      return "cancelled";
    case domain_errc::stopped:
      return "stopped";
    case domain_errc::draining:
      return "draining";
    case domain_errc::unknown_outcome:
      return "unknown_outcome";
  }
  return "unknown domain_errc";
}

} // namespace vtpm::actors
