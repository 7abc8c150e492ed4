#include "tpm/passthrough.hpp"

#include <bit>

#include "protocol/big_endian.hpp"
#include "protocol/log.hpp"
#include "protocol/tpmif.hpp"
#include "tpm/crypto/random.hpp"

namespace vtpm::tpm {

namespace {

using namespace protocol::manager;
using protocol::load_be;
using protocol::store_be;

/// What fits into an answer of TPM_GetRandom behind its header and size.
constexpr std::size_t random_size_max
  = protocol::packet_size_max - protocol::tpm_header::encoded_size - 4;

/// A SHA-1 digest.
constexpr std::size_t digest_size_1_2 = 20;

/// TPML_PCR_SELECTION of one bank: count, hash, sizeofSelect, pcrSelect.
constexpr std::size_t selection_size = 4 + 2 + 1 + 3;

byte_vector refusal(std::uint16_t tag, code why) {
  const auto packet = refuse(tag, why);
  return {packet.begin(), packet.end()};
}

/// Says what became of a call of the hardware. Anybody may ask for a bank that
/// it does not have, as often as he likes.
byte_vector failed(std::uint16_t tag, const error& why) {
  const auto is_absent = why.code == errc::not_found;
  log().log(is_absent ? spdlog::level::debug : spdlog::level::warn,
            "hardware TPM: {}", why.detail);
  return refusal(tag, is_absent ? code::bad_index : code::io_error);
}

} // namespace

byte_vector passthrough::answer(bool is_admin, byte_view request) {
  const auto tag = load_be<std::uint16_t>(request.data());
  const auto which = load_be<std::uint32_t>(request.data() + 6);
  const auto body = body_of(request);
  if (tag == tpm12_tag && which == tpm12_get_random)
    return random(body);
  if (hardware_ == nullptr)
    return refusal(tag, code::disabled_command);
  if (tag == tpm12_tag && which == tpm12_pcr_read)
    return read_pcr_1_2(body);
  if (tag == tpm12_tag && which == tpm12_extend && is_admin)
    return extend(body);
  if (tag == tpm20_tag && which == tpm20_pcr_read)
    return read_pcr_2_0(body);
  return refusal(tag, code::disabled_command);
}

byte_vector passthrough::random(byte_view body) {
  if (body.size() != 4)
    return refusal(tpm12_tag, code::bad_param_size);
  const auto size = load_be<std::uint32_t>(body.data());
  if (size > random_size_max)
    return refusal(tpm12_tag, code::bad_parameter);
  auto out = byte_vector(4 + size);
  store_be(out.data(), size);
  const auto octets = std::span{out}.subspan(4);
  fill_random(octets);
  // Both together: hardware that fails, or lies, makes nothing worse.
  if (hardware_ != nullptr) {
    auto more = byte_vector(size);
    if (auto got = hardware_->random(more); !got)
      return failed(tpm12_tag, got.error());
    for (std::size_t i = 0; i < size; ++i)
      octets[i] = static_cast<std::uint8_t>(octets[i] ^ more[i]);
  }
  return packet(tpm12_response_tag, 0, out);
}

byte_vector passthrough::read_pcr_1_2(byte_view body) {
  if (body.size() != 4)
    return refusal(tpm12_tag, code::bad_param_size);
  const auto index = load_be<std::uint32_t>(body.data());
  if (index >= pcr_count)
    return refusal(tpm12_tag, code::bad_index);
  const auto value = hardware_->read_pcr(pcr_bank::sha1, index);
  if (!value)
    return failed(tpm12_tag, value.error());
  return packet(tpm12_response_tag, 0, *value);
}

byte_vector passthrough::extend(byte_view body) {
  if (body.size() != 4 + digest_size_1_2)
    return refusal(tpm12_tag, code::bad_param_size);
  const auto index = load_be<std::uint32_t>(body.data());
  if (index >= pcr_count)
    return refusal(tpm12_tag, code::bad_index);
  if (auto done = hardware_->extend_pcr(pcr_bank::sha1, index, body.subspan(4));
      !done)
    return failed(tpm12_tag, done.error());
  return read_pcr_1_2(body.first(4));
}

byte_vector passthrough::read_pcr_2_0(byte_view body) {
  if (body.size() != selection_size)
    return refusal(tpm20_tag, code::bad_param_size);
  const auto count = load_be<std::uint32_t>(body.data());
  const auto bank
    = static_cast<pcr_bank>(load_be<std::uint16_t>(body.data() + 4));
  const auto mask
    = body[7] | std::uint32_t{body[8]} << 8 | std::uint32_t{body[9]} << 16;
  if (count != 1 || body[6] != 3 || std::popcount(mask) != 1
      || digest_size(bank) == 0)
    return refusal(tpm20_tag, code::bad_parameter);
  const auto value
    = hardware_->read_pcr(bank, static_cast<unsigned>(std::countr_zero(mask)));
  if (!value)
    return failed(tpm20_tag, value.error());
  // pcrUpdateCounter, the selection, and TPML_DIGEST of one TPM2B.
  constexpr auto head_size = 4 + selection_size;
  byte_vector out(head_size);
  std::copy(body.begin(), body.end(), out.data() + 4);
  out.resize(head_size + 4 + 2 + value->size());
  auto* at = out.data() + head_size;
  at = store_be(at, std::uint32_t{1});
  at = store_be(at, static_cast<std::uint16_t>(value->size()));
  std::copy(value->begin(), value->end(), at);
  return packet(tpm20_tag, 0, out);
}

} // namespace vtpm::tpm
