#pragma once

#include "protocol/bytes.hpp"
#include "protocol/tpmif.hpp"
#include "tpm/shadow_format.hpp"

namespace vtpm::actors {

/// What an earlier vtpmd has left undone of the request in the page.
enum class leftover : std::uint8_t {
  /// All of it: no response was decided on.
  everything,
  /// The response on record is to be put into the page.
  delivery,
  /// The response is in the page, and the guest was not told.
  finish,
};

/// Compares the answer on record with a page in SUBMIT or CANCEL. The mark
/// alone cannot tell an answer that was not delivered from one that was, and
/// the page alone cannot tell a request from the same request sent again.
/// @param packet What is in the page behind `header`, at the length it says.
leftover what_is_left(const tpm::recorded_answer& answer,
                      const protocol::page_header& header,
                      byte_view packet) noexcept;

} // namespace vtpm::actors
