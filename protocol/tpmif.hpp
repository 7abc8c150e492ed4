#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/bytes.hpp"

// The page that a frontend shares with us: Xen's tpmif, protocol version 2
// (xen/include/public/io/tpmif.h). Native little-endian, one 4096-octet page:
//
//     offset  octets  field
//          0       4  length           octets of the request or response
//          4       1  state            page_state
//          5       1  locality         of the current request
//          6       1  pad
//          7       1  nr_extra_pages   n, 0..255
//          8     4*n  extra_pages      grant references, never mapped by us
//      8+4*n      ..  packet           TPM command or response
//
// The public header's comment puts the list at 16; every implementation has it
// at 8, and so have we.

namespace vtpm::protocol {

inline constexpr std::size_t page_size = 4096;

/// The fixed part of the page, before the list of extra pages.
inline constexpr std::size_t page_header_size = 4 + 1 + 1 + 1 + 1;

inline constexpr std::size_t page_state_offset = 4;

/// Who may write a state: the frontend `submit` and `cancel`, the backend
/// `idle` and `finish`.
enum class page_state : std::uint8_t {
  /// No request, or the last one was cancelled: there is no response.
  idle = 0,
  /// The frontend has put a request into the page.
  submit = 1,
  /// The backend has put a response into the page.
  finish = 2,
  /// The frontend has given up waiting.
  cancel = 3,
};

/// Returns the enumerator's name, for logs and test output.
const char* to_string(page_state state) noexcept;

/// One snapshot of the page's fixed part. Everything in it is the guest's word.
struct page_header {
  std::uint32_t length;
  /// Not checked: the guest may have written any octet.
  std::uint8_t state;
  std::uint8_t locality;
  std::uint8_t pad;
  std::uint8_t nr_extra_pages;

  /// Reads the eight octets; every value of every octet decodes.
  static page_header decode(
    std::span<const std::uint8_t, page_header_size> wire) noexcept;

  /// Returns the wire form. Inverse of `decode`.
  std::array<std::uint8_t, page_header_size> encode() const noexcept;

  /// Returns where the packet starts.
  constexpr std::size_t packet_offset() const noexcept {
    return page_header_size + std::size_t{4} * nr_extra_pages;
  }

  /// Returns how many octets a request or response may have: what is left of
  /// the one page.
  constexpr std::size_t packet_size_max() const noexcept {
    return page_size - packet_offset();
  }

  friend bool operator==(const page_header&, const page_header&) = default;
};

static_assert(page_header_size == 8);
// Even a page that claims all 255 extra pages has room for an error response.
static_assert(page_header{0, 0, 0, 0, 255}.packet_size_max() >= 10);

/// Upper bound on a request or response: one page less its header. The engine's
/// buffer size is set to match.
inline constexpr std::size_t packet_size_max = page_size - page_header_size;
static_assert(packet_size_max == 4088);

} // namespace vtpm::protocol
