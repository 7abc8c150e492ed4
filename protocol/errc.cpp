#include "protocol/errc.hpp"

namespace vtpm::protocol {

const char* to_string(errc code) noexcept {
  switch (code) {
    case errc::truncated:
      return "truncated";
    case errc::oversized:
      return "oversized";
    case errc::size_mismatch:
      return "size_mismatch";
    case errc::bad_tag:
      return "bad_tag";
    case errc::other_version_tag:
      return "other_version_tag";
    case errc::malformed:
      return "malformed";
  }
  return "unknown";
}

} // namespace vtpm::protocol
