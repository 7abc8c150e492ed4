#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/bytes.hpp"
#include "protocol/version.hpp"

// What guests of the simulator say to their TPM, and what they hear. Every
// guest has a counter, a number and a PCR of its own; a TPM 1.2 has no counter.

namespace vtpm::simulation {

/// Guests of one world; also how many of everything a TPM is made with.
inline constexpr unsigned guests_max = 6;

/// SHA-256; of a TPM 1.2 only the first 20 octets are used, the rest is zero.
using pcr_value = std::array<std::uint8_t, 32>;

/// NV writes that a TPM 1.2 without an owner allows (TPM_MAX_NV_WRITE_NOOWNER,
/// Part 2, 3), less one per guest for `preparation`.
inline constexpr unsigned nv_writes_max_1_2 = 64 - guests_max;

/// Everything of one guest that its TPM keeps.
struct guest_state {
  std::uint64_t counter = 0;
  std::uint64_t number = 0;
  pcr_value pcr{};

  friend bool operator==(const guest_state&, const guest_state&) = default;
};

/// Returns all three, for a message.
std::string to_string(const guest_state& state);

enum class deed : std::uint8_t {
  /// Adds one to the own counter.
  increment,
  /// Stores `value` as the own number.
  write,
  /// Extends the own PCR with a digest made of `value`.
  extend,
  /// Reads the counter or the number of `target`.
  read_counter,
  read_number,
  /// Reads the own PCR.
  read_pcr,
  /// Makes a key: takes long, can be cancelled, changes nothing.
  create,
  /// Something that is no command.
  garbage,
};

const char* name_of(deed what) noexcept;

struct command {
  deed what = deed::garbage;
  /// Whose counter, number or PCR.
  unsigned target = 0;
  std::uint64_t value = 0;
};

/// Returns the request.
byte_vector encode(tpm_version version, const command& asked);

/// Returns what the target's state is once `asked` has run.
guest_state after(tpm_version version, const guest_state& before,
                  const command& asked);

/// Returns the result code of a whole response.
std::uint32_t result_of(byte_view response) noexcept;

/// Returns the counter or number in the response to a successful read; nothing
/// if it is too short.
std::optional<std::uint64_t> number_in(tpm_version version,
                                       byte_view response) noexcept;

/// Returns the PCR in the response to a successful read.
std::optional<pcr_value> pcr_in(tpm_version version,
                                byte_view response) noexcept;

/// Returns the commands that make a new TPM ready for a guest, in this order.
/// Each has to succeed.
std::vector<byte_vector> preparation(tpm_version version, unsigned guest);

} // namespace vtpm::simulation
