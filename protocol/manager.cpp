#include "protocol/manager.hpp"

#include <algorithm>
#include <cassert>

#include "protocol/big_endian.hpp"
#include "protocol/tpmif.hpp"

namespace vtpm::protocol::manager {

namespace {

static_assert(list_uuids_max * 16 + 4 + tpm_header::encoded_size
              <= packet_size_max);

constexpr std::size_t uuid_size = std::tuple_size_v<uuid_octets>;

/// What an error's tag is above its request's.
constexpr std::uint16_t error_distance = 3;

void append(byte_vector& target, std::uint32_t value) {
  target.resize(target.size() + sizeof value);
  store_be(target.data() + target.size() - sizeof value, value);
}

void append(byte_vector& target, byte_view octets) {
  const auto before = target.size();
  target.resize(before + octets.size());
  std::copy(octets.begin(), octets.end(),
            target.begin() + static_cast<std::ptrdiff_t>(before));
}

/// Reads a body from its start, as far as it was checked to go.
class reader {
public:
  explicit reader(byte_view body) noexcept : at_(body.data()) {
    // nop
  }

  template <std::unsigned_integral T>
  T number() noexcept {
    const auto* here = at_;
    at_ += sizeof(T);
    return load_be<T>(here);
  }

  uuid_octets uuid() noexcept {
    auto value = uuid_octets{};
    std::copy_n(at_, uuid_size, value.begin());
    at_ += uuid_size;
    return value;
  }

private:
  const std::uint8_t* at_;
};

} // namespace

std::string_view to_string(code value) noexcept {
  switch (value) {
    case code::success:
      return "TPM_SUCCESS";
    case code::bad_index:
      return "TPM_BADINDEX";
    case code::bad_parameter:
      return "TPM_BAD_PARAMETER";
    case code::disabled:
      return "TPM_DISABLED";
    case code::disabled_command:
      return "TPM_DISABLED_CMD";
    case code::fail:
      return "TPM_FAIL";
    case code::bad_ordinal:
      return "TPM_BAD_ORDINAL";
    case code::no_space:
      return "TPM_NOSPACE";
    case code::bad_param_size:
      return "TPM_BAD_PARAM_SIZE";
    case code::bad_tag:
      return "TPM_BADTAG";
    case code::io_error:
      return "TPM_IOERROR";
  }
  return "unknown";
}

std::string_view name_of(std::uint32_t value) noexcept {
  switch (static_cast<ordinal>(value)) {
    case ordinal::save_hash_key:
      return "SAVEHASHKEY";
    case ordinal::load_hash_key:
      return "LOADHASHKEY";
    case ordinal::get_boot_hash:
      return "GET_BOOT_HASH";
    case ordinal::get_quote:
      return "GET_QUOTE";
    case ordinal::group_list:
      return "GROUP_LIST";
    case ordinal::group_new:
      return "GROUP_NEW";
    case ordinal::group_delete:
      return "GROUP_DEL";
    case ordinal::group_activate:
      return "GROUP_ACTIVATE";
    case ordinal::group_register:
      return "GROUP_REGISTER";
    case ordinal::group_update:
      return "GROUP_UPDATE";
    case ordinal::group_show:
      return "GROUP_SHOW";
    case ordinal::group_quote:
      return "GROUP_QUOTE";
    case ordinal::group_recover1:
      return "GROUP_RECOVER1";
    case ordinal::group_recover2:
      return "GROUP_RECOVER2";
    case ordinal::vtpm_list:
      return "VTPM_LIST";
    case ordinal::vtpm_show:
      return "VTPM_SHOW";
    case ordinal::vtpm_edit:
      return "VTPM_EDIT";
    case ordinal::vtpm_new:
      return "VTPM_NEW";
    case ordinal::vtpm_delete:
      return "VTPM_DEL";
  }
  return "unknown";
}

bool is_request_tag(std::uint16_t tag) noexcept {
  return tag == vtpm_tag || tag == management_tag || is_passthrough_tag(tag);
}

bool is_passthrough_tag(std::uint16_t tag) noexcept {
  return tag == tpm12_tag || tag == tpm20_tag;
}

error_packet refuse(std::uint16_t request_tag, code why) noexcept {
  auto tag = response_tag;
  if (request_tag == tpm20_tag)
    tag = tpm20_tag;
  else if (is_request_tag(request_tag))
    tag = static_cast<std::uint16_t>(request_tag + error_distance);
  return tpm_header{tag, tpm_header::encoded_size,
                    static_cast<std::uint32_t>(why)}
    .encode();
}

code code_for(refusal reason) noexcept {
  switch (reason) {
    case refusal::bad_size:
      return code::bad_param_size;
    case refusal::bad_tag:
      return code::bad_tag;
    case refusal::bad_locality:
      return code::disabled_command;
    case refusal::bad_parameter:
      return code::bad_parameter;
    case refusal::failure:
    case refusal::cancelled:
      return code::fail;
  }
  assert(false);
  return code::fail;
}

byte_vector packet(std::uint16_t tag, std::uint32_t code_or_ordinal,
                   byte_view body) {
  const auto size
    = static_cast<std::uint32_t>(tpm_header::encoded_size + body.size());
  const auto header = tpm_header{tag, size, code_or_ordinal}.encode();
  byte_vector out;
  append(out, byte_view{header});
  append(out, body);
  return out;
}

byte_view trim_record(std::span<const std::uint8_t, record_size> record) {
  const auto tail = record.subspan<short_record_size>();
  const auto is_short
    = std::ranges::all_of(tail, [](std::uint8_t octet) { return octet == 0; });
  return record.first(is_short ? short_record_size : record_size);
}

result<list_request> list_request::decode(byte_view body) noexcept {
  if (body.size() != 4 + 4)
    return errc::malformed;
  auto from = reader{body};
  const auto group = from.number<std::uint32_t>();
  return list_request{group, from.number<std::uint32_t>()};
}

byte_vector list_request::encode() const {
  byte_vector out;
  append(out, group);
  append(out, offset);
  return out;
}

result<list_response> list_response::decode(byte_view body) {
  if (body.size() < 4 || (body.size() - 4) % uuid_size != 0)
    return errc::malformed;
  auto from = reader{body};
  auto out = list_response{from.number<std::uint32_t>(), {}};
  const auto count = (body.size() - 4) / uuid_size;
  for (std::size_t i = 0; i < count; ++i)
    out.uuids.push_back(from.uuid());
  return out;
}

byte_vector list_response::encode() const {
  assert(uuids.size() <= list_uuids_max);
  byte_vector out;
  append(out, total);
  for (const auto& uuid : uuids)
    append(out, byte_view{uuid});
  return out;
}

result<new_request> new_request::decode(byte_view body) noexcept {
  if (body.size() != 4 && body.size() != 4 + uuid_size)
    return errc::malformed;
  auto from = reader{body};
  auto out = new_request{from.number<std::uint32_t>(), std::nullopt};
  if (body.size() > 4)
    out.uuid = from.uuid();
  return out;
}

byte_vector new_request::encode() const {
  byte_vector out;
  append(out, group);
  if (uuid)
    append(out, byte_view{*uuid});
  return out;
}

result<uuid_octets> decode_uuid(byte_view body) noexcept {
  if (body.size() != uuid_size)
    return errc::malformed;
  return reader{body}.uuid();
}

result<edit_request> edit_request::decode(byte_view body) noexcept {
  if (body.size() != uuid_size + 4)
    return errc::malformed;
  auto from = reader{body};
  const auto uuid = from.uuid();
  return edit_request{uuid, from.number<std::uint32_t>()};
}

byte_vector edit_request::encode() const {
  byte_vector out;
  append(out, byte_view{uuid});
  append(out, flags);
  return out;
}

result<show_response> show_response::decode(byte_view body) noexcept {
  if (body.size() != 4 + 8)
    return errc::malformed;
  auto from = reader{body};
  const auto flags = from.number<std::uint32_t>();
  return show_response{flags, from.number<std::uint64_t>()};
}

byte_vector show_response::encode() const {
  byte_vector out(4 + 8);
  store_be(store_be(out.data(), flags), replacements);
  return out;
}

byte_vector get_random_request(std::uint32_t size) {
  byte_vector body;
  append(body, size);
  return packet(tpm12_tag, tpm12_get_random, body);
}

byte_vector pcr_read_request(std::uint32_t index) {
  byte_vector body;
  append(body, index);
  return packet(tpm12_tag, tpm12_pcr_read, body);
}

byte_vector pcr_read_request(std::uint16_t bank, unsigned index) {
  assert(index < 24);
  // TPML_PCR_SELECTION: count, hash, sizeofSelect, pcrSelect.
  byte_vector body(4 + 2 + 1 + 3);
  auto* at = store_be(body.data(), std::uint32_t{1});
  at = store_be(at, bank);
  *at++ = 3;
  at[index / 8] = static_cast<std::uint8_t>(1u << index % 8);
  return packet(tpm20_tag, tpm20_pcr_read, body);
}

result<byte_view> decode_random(byte_view response) noexcept {
  const auto header = tpm_header::decode_response(response);
  if (!header)
    return header.error();
  const auto body = body_of(response);
  if (header->code != tpm_success || body.size() < 4
      || load_be<std::uint32_t>(body.data()) != body.size() - 4)
    return errc::malformed;
  return body.subspan(4);
}

} // namespace vtpm::protocol::manager
