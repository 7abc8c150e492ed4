#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "protocol/bytes.hpp"
#include "protocol/error_response.hpp"
#include "protocol/tpm_header.hpp"

// The TPM Manager's protocol, in the packets of a ring: the envelope and the
// bodies of Xen's stubdom/vtpmmgr, big-endian, byte for byte.
//
//     tag 2 | size 4, of the whole packet | ordinal or result 4 | body
//
// Commands of a vTPM about itself carry one tag, an administrator's another.
// A success carries 0x01C4 for both, an error the request's tag + 3. A TPM's
// own tags pass a command on to the hardware TPM.

namespace vtpm::protocol::manager {

inline constexpr std::uint16_t vtpm_tag = 0x01C1;
inline constexpr std::uint16_t management_tag = 0x01C2;
inline constexpr std::uint16_t response_tag = 0x01C4;
/// TPM_TAG_RQU_COMMAND and TPM_ST_NO_SESSIONS: for the hardware TPM.
inline constexpr std::uint16_t tpm12_tag = 0x00C1;
inline constexpr std::uint16_t tpm20_tag = 0x8001;
/// TPM_TAG_RSP_COMMAND.
inline constexpr std::uint16_t tpm12_response_tag = 0x00C4;

/// What can be asked under `vtpm_tag` and, from 0x02000000 on, under
/// `management_tag`. Names without a comment are refused.
enum class ordinal : std::uint32_t {
  /// Replaces the sender's record.
  save_hash_key = 1,
  /// Reads it.
  load_hash_key = 2,
  /// What the sender's domain was started from.
  get_boot_hash = 3,
  get_quote = 4,
  group_list = 0x02000101,
  group_new = 0x02000102,
  group_delete = 0x02000103,
  group_activate = 0x02000104,
  group_register = 0x02000105,
  group_update = 0x02000106,
  group_show = 0x02000107,
  group_quote = 0x02000108,
  group_recover1 = 0x02000109,
  group_recover2 = 0x0200010A,
  /// The uuids of a group's vTPMs, from one place in the list on.
  vtpm_list = 0x02000201,
  /// What is known of one. Declared by the original and never built; the
  /// bodies are ours.
  vtpm_show = 0x02000202,
  /// Sets its flags; likewise.
  vtpm_edit = 0x02000203,
  /// Makes one that has no record yet.
  vtpm_new = 0x02000204,
  /// Forgets one, and its record with it.
  vtpm_delete = 0x02000205,
};

/// TPM 1.2's codes (TPM Main Part 2, 16), as the original uses them.
enum class code : std::uint32_t {
  success = 0,
  /// A group or place in a list that there is not.
  bad_index = 2,
  /// A uuid that is not known.
  bad_parameter = 3,
  /// Somebody else has this vTPM open, or it may not be opened.
  disabled = 7,
  /// Not for this sender.
  disabled_command = 8,
  fail = 9,
  bad_ordinal = 10,
  no_space = 17,
  /// The body is too short or too long.
  bad_param_size = 25,
  bad_tag = 30,
  /// The hardware TPM did not answer.
  io_error = 31,
};

/// Returns the TPM's name of a code, "unknown" if it is none of ours.
std::string_view to_string(code value) noexcept;

/// Returns the name of an ordinal, "unknown" if it is none.
std::string_view name_of(std::uint32_t ordinal) noexcept;

/// Returns whether a request may carry this tag.
bool is_request_tag(std::uint16_t tag) noexcept;

/// Returns whether the tag is a TPM's own.
bool is_passthrough_tag(std::uint16_t tag) noexcept;

/// Returns the packet that refuses a request with this tag.
error_packet refuse(std::uint16_t request_tag, code why) noexcept;

/// Returns the code for what vtpmd itself refuses, before anyone looks inside.
code code_for(refusal reason) noexcept;

// -- bodies -------------------------------------------------------------------

/// A vTPM's name on the wire.
using uuid_octets = std::array<std::uint8_t, 16>;

/// What the manager keeps for one vTPM; opaque to it. The original's vTPMs use
/// the first 52 octets, SHA-1 20 and key 32.
inline constexpr std::size_t record_size = 64;
inline constexpr std::size_t short_record_size = 52;

/// Returns a packet of `tag` and `code_or_ordinal` around `body`.
byte_vector packet(std::uint16_t tag, std::uint32_t code_or_ordinal,
                   byte_view body = {});

/// Returns the body of a response.
/// @pre `response` has a whole header.
inline byte_view body_of(byte_view response) noexcept {
  return response.subspan(tpm_header::encoded_size);
}

/// Returns whether SAVEHASHKEY may carry a record of so many octets; what it
/// lacks to 64 are zeros.
constexpr bool is_record_size(std::size_t size) noexcept {
  return size >= short_record_size && size <= record_size;
}

/// Returns what LOADHASHKEY answers: the record, without its last 12 octets if
/// those are zeros.
byte_view trim_record(std::span<const std::uint8_t, record_size> record);

/// VTPM_LIST: group 4, offset 4.
struct list_request {
  std::uint32_t group;
  std::uint32_t offset;

  static result<list_request> decode(byte_view body) noexcept;
  byte_vector encode() const;

  friend bool operator==(const list_request&, const list_request&) = default;
};

/// Its answer: total 4, then uuids from the offset on, 16 each.
struct list_response {
  std::uint32_t total;
  std::vector<uuid_octets> uuids;

  static result<list_response> decode(byte_view body);
  byte_vector encode() const;

  friend bool operator==(const list_response&, const list_response&) = default;
};

/// How many uuids fit into one answer.
inline constexpr std::size_t list_uuids_max = (4088 - 10 - 4) / 16;

/// VTPM_NEW: group 4, and the new uuid 16 unless the manager is to choose one.
struct new_request {
  std::uint32_t group;
  std::optional<uuid_octets> uuid;

  static result<new_request> decode(byte_view body) noexcept;
  byte_vector encode() const;

  friend bool operator==(const new_request&, const new_request&) = default;
};

/// The body of VTPM_DEL and VTPM_SHOW, and of VTPM_NEW's answer: uuid 16.
result<uuid_octets> decode_uuid(byte_view body) noexcept;

/// VTPM_EDIT: uuid 16, flags 4.
struct edit_request {
  uuid_octets uuid;
  std::uint32_t flags;

  static result<edit_request> decode(byte_view body) noexcept;
  byte_vector encode() const;

  friend bool operator==(const edit_request&, const edit_request&) = default;
};

/// What VTPM_EDIT may set: the vTPM may not be opened.
inline constexpr std::uint32_t flag_disabled = 1;
/// What VTPM_SHOW adds to those: somebody has it open; it has a record; it is
/// an administrator's.
inline constexpr std::uint32_t flag_open = 0x100;
inline constexpr std::uint32_t flag_recorded = 0x200;
inline constexpr std::uint32_t flag_admin = 0x400;

/// VTPM_SHOW's answer: flags 4, how often its record was replaced 8.
struct show_response {
  std::uint32_t flags;
  std::uint64_t replacements;

  static result<show_response> decode(byte_view body) noexcept;
  byte_vector encode() const;

  friend bool operator==(const show_response&, const show_response&) = default;
};

/// GET_BOOT_HASH's answer.
inline constexpr std::size_t boot_hash_size = 20;

// -- the hardware TPM's commands ----------------------------------------------

/// The ordinals that pass (TPM Main Part 2, 17).
inline constexpr std::uint32_t tpm12_extend = 0x14;
inline constexpr std::uint32_t tpm12_pcr_read = 0x15;
inline constexpr std::uint32_t tpm12_get_random = 0x46;
/// TPM_CC_PCR_Read (2.0 Part 2, 6.5.2).
inline constexpr std::uint32_t tpm20_pcr_read = 0x17E;

/// Returns TPM_GetRandom for `size` octets.
byte_vector get_random_request(std::uint32_t size);

/// Returns TPM_PCRRead of a PCR.
byte_vector pcr_read_request(std::uint32_t index);

/// Returns TPM2_PCR_Read of one PCR of a bank, by its TPM_ALG_ID.
/// @pre `index` is below 24.
byte_vector pcr_read_request(std::uint16_t bank, unsigned index);

/// Returns the octets in an answer to TPM_GetRandom: u32 size, octets.
result<byte_view> decode_random(byte_view response) noexcept;

} // namespace vtpm::protocol::manager
