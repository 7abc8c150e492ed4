#pragma once

#include <cstdint>

#include "protocol/bytes.hpp"
#include "xenio/errc.hpp"
#include "xenio/shared_page.hpp"

// The frontend's half of tpmif, on a page that a backend may share.

namespace vtpm::xenio {

/// Returns whether the page is the frontend's to write into: no request is
/// under way.
bool is_free(const shared_page& page) noexcept;

/// Writes a request without extra pages, then SUBMIT. Returns `false`, and
/// writes nothing, when it does not fit into the page.
/// @pre `is_free(page)`
bool place_request(shared_page& page, std::uint8_t locality,
                   byte_view request) noexcept;

/// Copies the response out.
/// @pre The state is FINISH.
result<byte_vector> collect_response(const shared_page& page);

} // namespace vtpm::xenio
