#include "tpm/shadow_format.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "protocol/big_endian.hpp"
#include "tpm/crypto/crc32c.hpp"
#include "tpm/crypto/hkdf.hpp"

namespace vtpm::tpm {

using protocol::load_be;
using protocol::store_be;

namespace {

constexpr auto magic = std::array<std::uint8_t, 4>{'v', 'T', 's', 'h'};

constexpr std::uint8_t format = 1;

/// Ties the file's key to its use. Part of the format.
constexpr auto key_label = std::array<std::uint8_t, 12>{
  'v', 't', 'p', 'm', 'd', ' ', 's', 'h', 'a', 'd', 'o', 'w'};

/// What the tag covers beside the sealed octets: which cell, and the header but
/// for delivery and tag.
using associated = std::array<std::uint8_t, 4 + 8 + 8 + 4>;

associated associated_with(std::uint32_t cell,
                           const half_header& header) noexcept {
  auto out = associated{};
  auto* at = store_be(out.data(), cell);
  at = store_be(at, header.sequence);
  at = store_be(at, header.needs);
  store_be(at, header.size);
  return out;
}

/// Sequence numbers are never used twice under one key, so nor are nonces.
aes_256_gcm::nonce nonce_for(std::uint64_t sequence) noexcept {
  auto out = aes_256_gcm::nonce{};
  store_be(out.data() + 4, sequence);
  return out;
}

} // namespace

// -- the head -----------------------------------------------------------------

bool starts_as_shadow(byte_view file) noexcept {
  return file.size() >= magic.size()
    && std::equal(magic.begin(), magic.end(), file.begin());
}

shadow_head encode_shadow_head(const shadow_owner& owner,
                               std::span<const std::uint8_t, salt_size> salt) {
  auto out = shadow_head{};
  auto* at = std::copy(magic.begin(), magic.end(), out.data());
  at = store_be(at, format) + 3;
  at = std::copy(owner.id.begin(), owner.id.end(), at);
  at = std::copy(owner.boot.begin(), owner.boot.end(), at);
  assert(at == out.data() + shadow_salt_offset);
  at = std::copy(salt.begin(), salt.end(), at);
  const auto head = byte_view{out}.first(shadow_head_size - 4);
  store_be(at, crc32c(head));
  return out;
}

basic_result<std::array<std::uint8_t, salt_size>, std::string>
decode_shadow_head(byte_view file, const shadow_owner& owner) {
  if (file.size() < shadow_size_min || file.size() > shadow_size_max)
    return std::string{"its size is not a shadow's"};
  const auto head = file.first(shadow_head_size);
  auto salt = std::array<std::uint8_t, salt_size>{};
  std::copy_n(head.begin() + shadow_salt_offset, salt_size, salt.begin());
  const auto crc = load_be<std::uint32_t>(head.data() + shadow_head_size - 4);
  if (crc != crc32c(head.first(shadow_head_size - 4)))
    return std::string{"its head is damaged"};
  const auto expected = encode_shadow_head(owner, salt);
  const auto same = [&](std::size_t offset, std::size_t size) {
    return std::equal(head.begin() + static_cast<std::ptrdiff_t>(offset),
                      head.begin() + static_cast<std::ptrdiff_t>(offset + size),
                      expected.begin() + static_cast<std::ptrdiff_t>(offset));
  };
  if (!same(0, 8))
    return std::string{"it is of a later version"};
  if (!same(8, 16))
    return std::string{"it belongs to another TPM"};
  if (!same(24, 36))
    return std::string{"it is from before the last boot"};
  return salt;
}

// -- cells --------------------------------------------------------------------

cell_place place_of(std::uint32_t number) noexcept {
  assert(number < first_answer_cell + answers_max);
  auto offset = shadow_page;
  for (const auto& [cell, half_size] :
       {std::pair{state_cell, state_half_size},
        std::pair{volatile_cell, volatile_half_size},
        std::pair{platform_cell, platform_half_size}}) {
    if (number == cell)
      return {offset, half_size};
    offset += 2 * half_size;
  }
  return {offset + 2 * answer_half_size * (number - first_answer_cell),
          answer_half_size};
}

shadow_cipher::shadow_cipher(aes_256_gcm gcm, secret_bytes key) noexcept
  : gcm_(std::move(gcm)), key_(std::move(key)) {
  // nop
}

result<shadow_cipher> shadow_cipher::make(
  byte_view key, const shadow_owner& owner,
  std::span<const std::uint8_t, salt_size> salt) {
  auto hkdf = hkdf_sha256::make();
  if (!hkdf)
    return hkdf.error();
  auto gcm = aes_256_gcm::make();
  if (!gcm)
    return gcm.error();
  auto info = std::array<std::uint8_t, key_label.size() + 16 + 36>{};
  auto* at = std::copy(key_label.begin(), key_label.end(), info.data());
  at = std::copy(owner.id.begin(), owner.id.end(), at);
  std::copy(owner.boot.begin(), owner.boot.end(), at);
  auto derived = secret_bytes(aes_256_gcm::key_size);
  auto done = hkdf->derive(key, salt, info, derived);
  if (!done)
    return done.error();
  return shadow_cipher{*std::move(gcm), std::move(derived)};
}

result<unit> shadow_cipher::seal(std::uint32_t cell, half_header header,
                                 std::span<const byte_view> parts,
                                 std::span<std::uint8_t> half) {
  auto size = std::size_t{0};
  for (const auto& part : parts)
    size += part.size();
  assert(half_header_size + size <= half.size());
  header.size = static_cast<std::uint32_t>(size);
  auto tag
    = gcm_.seal(key_, nonce_for(header.sequence), associated_with(cell, header),
                parts, half.subspan(half_header_size, size));
  if (!tag)
    return tag.error();
  auto* at = store_be(half.data(), header.sequence);
  at = store_be(at, header.needs);
  at = store_be(at, header.size);
  at = store_be(at, static_cast<std::uint8_t>(header.mark));
  at = std::fill_n(at, 3, std::uint8_t{0});
  std::copy(tag->begin(), tag->end(), at);
  return unit{};
}

std::optional<secret_bytes> shadow_cipher::open(std::uint32_t cell,
                                                const half_header& header,
                                                byte_view half) {
  if (header.sequence == 0 || header.size > half.size() - half_header_size)
    return std::nullopt;
  auto plain = secret_bytes(header.size);
  const auto authentic
    = gcm_.open(key_, nonce_for(header.sequence), associated_with(cell, header),
                half.subspan(half_header_size, header.size), header.tag, plain);
  if (!authentic || !*authentic)
    return std::nullopt;
  return plain;
}

half_header decode_half_header(byte_view half) noexcept {
  auto out = half_header{};
  out.sequence = load_be<std::uint64_t>(half.data());
  out.needs = load_be<std::uint64_t>(half.data() + 8);
  out.size = load_be<std::uint32_t>(half.data() + 16);
  out.mark = static_cast<delivery>(half[half_delivery_offset]);
  std::copy_n(half.begin() + half_delivery_offset + 4, out.tag.size(),
              out.tag.begin());
  return out;
}

// -- what cells hold ----------------------------------------------------------

request_print print_of(std::uint32_t length, std::uint8_t locality,
                       byte_view packet) noexcept {
  // The locality is one octet of 32: turned away from the first of the packet.
  return {length, crc32c(packet) ^ (std::uint32_t{locality} << 24)};
}

frontend_uuid frontend_uuid_of(std::string_view text) noexcept {
  auto out = frontend_uuid{};
  std::copy_n(text.begin(), std::min(text.size(), out.size()), out.begin());
  return out;
}

std::array<std::uint8_t, answer_header_size> encode_answer_header(
  const recorded_answer& answer) noexcept {
  auto out = std::array<std::uint8_t, answer_header_size>{};
  auto* at = store_be(out.data(), answer.who.domain);
  at = store_be(at, answer.who.handle);
  at = std::copy(answer.uuid.begin(), answer.uuid.end(), at);
  at = store_be(at, answer.request.length);
  store_be(at, answer.request.crc);
  return out;
}

std::optional<recorded_answer> decode_answer(byte_view plain) {
  // A response has a header, which whoever delivers it reads.
  constexpr auto least = answer_header_size + std::size_t{10};
  if (plain.size() < least
      || plain.size() > answer_header_size + protocol::packet_size_max)
    return std::nullopt;
  auto out = recorded_answer{};
  const auto* at = plain.data();
  out.who.domain = load_be<std::uint32_t>(at);
  out.who.handle = load_be<std::uint32_t>(at + 4);
  std::copy_n(at + 8, out.uuid.size(), out.uuid.begin());
  out.request.length = load_be<std::uint32_t>(at + 44);
  out.request.crc = load_be<std::uint32_t>(at + 48);
  const auto response = plain.subspan(answer_header_size);
  out.response.assign(response.begin(), response.end());
  return out;
}

} // namespace vtpm::tpm
