#include "actors/leftover.hpp"

#include <algorithm>

namespace vtpm::actors {

using tpm::delivery;

leftover what_is_left(const tpm::recorded_answer& answer,
                      const protocol::page_header& header,
                      byte_view packet) noexcept {
  const auto size = answer.response.size();
  switch (answer.mark) {
    case delivery::decided:
      // A guest that has started over may have put another one there.
      if (answer.request
          == tpm::print_of(header.length, header.locality, packet))
        return leftover::delivery;
      break;
    case delivery::copying:
      // Of the packet anything may be left, of the length one or the other.
      if (header.length == answer.request.length || header.length == size)
        return leftover::delivery;
      break;
    case delivery::copied:
      if (std::ranges::equal(packet, answer.response))
        return leftover::finish;
      break;
  }
  return leftover::everything;
}

} // namespace vtpm::actors
