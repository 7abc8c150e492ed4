#include "tpm/errc.hpp"

#include <system_error>
#include <utility>

namespace vtpm::tpm {

const char* to_string(errc code) noexcept {
  switch (code) {
    case errc::io:
      return "io";
    case errc::locked:
      return "locked";
    case errc::not_found:
      return "not_found";
    case errc::exists:
      return "exists";
    case errc::not_a_state:
      return "not_a_state";
    case errc::wrong_key:
      return "wrong_key";
    case errc::rollback:
      return "rollback";
    case errc::damage:
      return "damage";
    case errc::other_version:
      return "other_version";
    case errc::engine:
      return "engine";
    case errc::too_large:
      return "too_large";
    case errc::unusable:
      return "unusable";
    case errc::hardware:
      return "hardware";
    case errc::policy:
      return "policy";
  }
  return "unknown tpm::errc";
}

error io_error(std::string what, int os_error) {
  what += ": ";
  what += std::generic_category().message(os_error);
  return {errc::io, std::move(what)};
}

} // namespace vtpm::tpm
