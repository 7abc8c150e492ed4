#include "xenio/errc.hpp"

#include <system_error>
#include <utility>

namespace vtpm::xenio {

const char* to_string(errc code) noexcept {
  switch (code) {
    case errc::bad_grant:
      return "bad_grant";
    case errc::bad_channel:
      return "bad_channel";
    case errc::gone:
      return "gone";
    case errc::refused:
      return "refused";
    case errc::timed_out:
      return "timed_out";
    case errc::io:
      return "io";
    case errc::protocol:
      return "protocol";
    case errc::cancelled:
      return "cancelled";
  }
  return "unknown xenio::errc";
}

error io_error(std::string what, int os_error) {
  what += ": ";
  what += std::generic_category().message(os_error);
  return {errc::io, std::move(what)};
}

} // namespace vtpm::xenio
