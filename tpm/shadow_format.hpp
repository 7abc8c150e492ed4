#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "protocol/bytes.hpp"
#include "protocol/tpmif.hpp"
#include "tpm/crypto/aes_gcm.hpp"
#include "tpm/crypto/secret.hpp"
#include "tpm/slot_format.hpp"
#include "tpm/state_store.hpp"

// How a shadow looks in memory: shadow_format.md has the layout and the
// reasons.

namespace vtpm::tpm {

/// The kernel's random name for the time since it booted, 36 characters.
using boot_id = std::array<char, 36>;

/// What a shadow is bound to.
struct shadow_owner {
  uuid id;
  boot_id boot;

  friend bool operator==(const shadow_owner&, const shadow_owner&) = default;
};

/// The file's head: magic, format, zero, uuid, boot id, salt, CRC-32C.
inline constexpr std::size_t shadow_head_size = 4 + 1 + 3 + 16 + 36 + 32 + 4;
static_assert(shadow_head_size == 96);

/// Where the head has its salt.
inline constexpr std::size_t shadow_salt_offset = 4 + 1 + 3 + 16 + 36;

using shadow_head = std::array<std::uint8_t, shadow_head_size>;

/// Returns whether `file` is some shadow, however old or damaged.
bool starts_as_shadow(byte_view file) noexcept;

/// Returns the head of a new shadow.
shadow_head encode_shadow_head(const shadow_owner& owner,
                               std::span<const std::uint8_t, salt_size> salt);

/// Returns a shadow's salt, or says why this is no shadow of the owner's.
basic_result<std::array<std::uint8_t, salt_size>, std::string>
decode_shadow_head(byte_view file, const shadow_owner& owner);

// -- cells --------------------------------------------------------------------

/// Where a response stands on its way to the guest. On the wire: do not change
/// the values.
enum class delivery : std::uint8_t {
  /// The TPM has answered; nothing of it is in the page.
  decided = 1,
  /// The page may hold any part of it.
  copying = 2,
  /// The page holds all of it, and it may have been taken.
  copied = 3,
};

/// Before the sealed octets of one half of a cell: sequence number, the
/// sequence number it depends on, size, delivery, zero, tag.
inline constexpr std::size_t half_header_size
  = 8 + 8 + 4 + 1 + 3 + aes_256_gcm::tag_size;
static_assert(half_header_size == 40);

/// Where a half has its delivery.
inline constexpr std::size_t half_delivery_offset = 8 + 8 + 4;

/// Where the halves of cell `number` are, and how long each is.
struct cell_place {
  std::size_t offset;
  std::size_t half_size;

  std::size_t half(unsigned which) const noexcept {
    return offset + which * half_size;
  }
};

/// The cells: permanent state and savestate; volatile state; what the platform
/// remembers; and one per frontend.
inline constexpr std::uint32_t state_cell = 0;
inline constexpr std::uint32_t volatile_cell = 1;
inline constexpr std::uint32_t platform_cell = 2;
inline constexpr std::uint32_t first_answer_cell = 3;

/// No more frontends than this have an answer on record; the one that was
/// served longest ago makes room.
inline constexpr std::uint32_t answers_max = 1024;

inline constexpr std::size_t shadow_page = 4096;
inline constexpr std::size_t state_half_size = slot_size;
inline constexpr std::size_t volatile_half_size = 64 * 1024;
inline constexpr std::size_t platform_half_size = 16 * 1024;
inline constexpr std::size_t answer_half_size = 4352;

/// The size of a shadow without answers, and with as many as there may be. It
/// grows with the frontends; only pages in use take memory.
inline constexpr std::size_t shadow_size_min = shadow_page
  + 2 * (state_half_size + volatile_half_size + platform_half_size);
inline constexpr std::size_t shadow_size_max
  = shadow_size_min + 2 * answer_half_size * answers_max;

/// Returns the place of a cell.
/// @pre `number` is below `first_answer_cell + answers_max`.
cell_place place_of(std::uint32_t number) noexcept;

/// What one half holds, still sealed.
struct half_header {
  std::uint64_t sequence = 0;
  /// Says nothing unless the volatile cell has this sequence number or a later
  /// one: both were written in one step.
  std::uint64_t needs = 0;
  std::uint32_t size = 0;
  delivery mark = delivery::decided;
  aes_256_gcm::tag tag{};
};

/// Seals and opens halves under the key of one shadow.
class shadow_cipher {
public:
  /// @param key The slot payload's shadow key.
  static result<shadow_cipher> make(
    byte_view key, const shadow_owner& owner,
    std::span<const std::uint8_t, salt_size> salt);

  /// Seals `parts` into `half`, headed by `header`, whose size and tag it fills
  /// in.
  /// @pre Nothing was sealed with this sequence number, and all fits.
  result<unit> seal(std::uint32_t cell, half_header header,
                    std::span<const byte_view> parts,
                    std::span<std::uint8_t> half);

  /// Opens a half; nullopt if it is not whole.
  std::optional<secret_bytes> open(std::uint32_t cell,
                                   const half_header& header, byte_view half);

private:
  shadow_cipher(aes_256_gcm gcm, secret_bytes key) noexcept;

  aes_256_gcm gcm_;
  secret_bytes key_;
};

/// Reads a half's header; any octets decode.
/// @pre `half` has `half_header_size` octets.
half_header decode_half_header(byte_view half) noexcept;

// -- what cells hold ----------------------------------------------------------

/// Names one frontend to the shadow.
struct frontend_key {
  std::uint32_t domain;
  std::uint32_t handle;

  friend auto operator<=>(const frontend_key&, const frontend_key&) = default;
};

/// What tells one request from another. A guest that makes two look alike
/// deceives itself only.
struct request_print {
  std::uint32_t length = 0;
  std::uint32_t crc = 0;

  friend bool operator==(const request_print&, const request_print&) = default;
};

/// Returns the print of a request.
/// @param length As the page says; `packet` may be shorter, or empty where the
///               length is impossible.
request_print print_of(std::uint32_t length, std::uint8_t locality,
                       byte_view packet) noexcept;

/// The 36 characters of a frontend's uuid, zeros where it has fewer.
using frontend_uuid = std::array<char, 36>;

frontend_uuid frontend_uuid_of(std::string_view text) noexcept;

/// An answer's fixed part: domain, handle, uuid, request length and CRC.
inline constexpr std::size_t answer_header_size = 4 + 4 + 36 + 4 + 4;

static_assert(half_header_size + answer_header_size + protocol::packet_size_max
              <= answer_half_size);

/// One frontend's last answer.
struct recorded_answer {
  frontend_key who{};
  frontend_uuid uuid{};
  request_print request;
  delivery mark = delivery::decided;
  byte_vector response;
};

std::array<std::uint8_t, answer_header_size> encode_answer_header(
  const recorded_answer& answer) noexcept;

/// Reads what an answer's cell holds.
std::optional<recorded_answer> decode_answer(byte_view plain);

} // namespace vtpm::tpm
