#include "tpm/export_file.hpp"

#include <algorithm>
#include <cassert>
#include <utility>
#include <vector>

#include "protocol/big_endian.hpp"
#include "tpm/crypto/hkdf.hpp"
#include "tpm/crypto/random.hpp"
#include "tpm/crypto/scrypt.hpp"
#include "tpm/field_list.hpp"
#include "tpm/slot_format.hpp"

namespace vtpm::tpm {

using protocol::load_be;
using protocol::store_be;

namespace {

/// ASCII: "vTPM export" in four letters.
constexpr auto magic = std::array<std::uint8_t, 4>{'v', 'T', 'e', 'x'};

constexpr std::uint8_t format_version = 1;

/// Ties an export's key to its use. Part of the format.
constexpr auto key_label = std::array<std::uint8_t, 12>{
  'v', 't', 'p', 'm', 'd', ' ', 'e', 'x', 'p', 'o', 'r', 't'};

/// Every key seals once, so the nonce need not vary.
constexpr auto zero_nonce = aes_256_gcm::nonce{};

constexpr std::size_t kind_offset = 4 + 1 + 1;
constexpr std::size_t salt_offset = kind_offset + 1 + 1;
constexpr std::size_t uuid_offset = salt_offset + 32;
constexpr std::size_t generation_offset = uuid_offset + 16;
constexpr std::size_t length_offset = generation_offset + 8;
static_assert(length_offset + 4 == export_header_size);

constexpr auto sealed_offset = export_header_size + aes_256_gcm::tag_size;

using header_octets = std::array<std::uint8_t, export_header_size>;

header_octets encode_header(const export_content& content,
                            const export_lock& lock,
                            std::size_t size) noexcept {
  auto out = header_octets{};
  auto* at = std::copy(magic.begin(), magic.end(), out.data());
  at = store_be(at, format_version);
  at = store_be(at, static_cast<std::uint8_t>(content.version));
  at = store_be(at, static_cast<std::uint8_t>(lock.kind));
  at = store_be(at, lock.cost);
  at = std::copy(lock.salt.begin(), lock.salt.end(), at);
  at = std::copy(content.id.begin(), content.id.end(), at);
  at = store_be(at, content.gen);
  at = store_be(at, static_cast<std::uint32_t>(size));
  assert(at == out.data() + out.size());
  return out;
}

error not_an_export(const char* why) {
  return {errc::not_a_state, std::string{"not an export of vtpmd: "} + why};
}

/// Reads what was sealed into `out`.
result<unit> decode_fields(byte_view plain, export_content& out) {
  auto fields = field_reader{plain, field_type::volatile_state};
  auto count = 0;
  for (;;) {
    auto next = fields.next();
    if (!next)
      return next.error();
    if (!*next)
      break;
    const auto& value = (*next)->value;
    switch ((*next)->type) {
      case field_type::permanent:
        out.state.permanent.assign(value.begin(), value.end());
        ++count;
        break;
      case field_type::savestate:
        out.state.savestate.assign(value.begin(), value.end());
        ++count;
        break;
      case field_type::volatile_state:
        out.volatile_state.assign(value.begin(), value.end());
        break;
      default:
        return malformed_fields("a field of a later version");
    }
  }
  if (count != 2)
    return malformed_fields("a field is missing");
  return unit{};
}

} // namespace

bool is_plausible(const export_lock& lock) noexcept {
  switch (lock.kind) {
    case export_lock_kind::passphrase:
      return lock.cost >= export_cost_min && lock.cost <= export_cost_max;
    case export_lock_kind::key_file:
      return lock.cost == 0;
  }
  return false;
}

export_lock make_export_lock(export_lock_kind kind) noexcept {
  auto out = export_lock{kind, 0, {}};
  if (kind == export_lock_kind::passphrase)
    out.cost = export_cost;
  fill_random(out.salt);
  return out;
}

result<secret_bytes> derive_export_key(const export_lock& lock,
                                       byte_view secret) {
  auto master = secret_bytes(secret.begin(), secret.end());
  if (lock.kind == export_lock_kind::passphrase) {
    auto stretched = scrypt(secret, lock.salt, lock.cost);
    if (!stretched)
      return stretched.error();
    master = *std::move(stretched);
  }
  auto hkdf = hkdf_sha256::make();
  if (!hkdf)
    return hkdf.error();
  auto key = secret_bytes(aes_256_gcm::key_size);
  auto derived = hkdf->derive(master, lock.salt, key_label, key);
  if (!derived)
    return derived.error();
  return key;
}

result<byte_vector> seal_export(const export_content& content,
                                const export_lock& lock, byte_view key) {
  const auto& state = content.state;
  const auto& running = content.volatile_state;
  const auto first
    = encode_field_header(field_type::permanent, state.permanent.size());
  const auto second
    = encode_field_header(field_type::savestate, state.savestate.size());
  const auto third
    = encode_field_header(field_type::volatile_state, running.size());
  auto parts
    = std::vector<byte_view>{first, state.permanent, second, state.savestate};
  if (!running.empty())
    parts.insert(parts.end(), {third, running});
  auto size = std::size_t{0};
  for (const auto& part : parts)
    size += part.size();
  if (sealed_offset + size > export_size_max)
    return error{errc::too_large, "the TPM's state is too long for an export"};
  auto gcm = aes_256_gcm::make();
  if (!gcm)
    return gcm.error();
  const auto header = encode_header(content, lock, size);
  auto out = byte_vector(sealed_offset + size);
  auto tag = gcm->seal(key, zero_nonce, header, parts,
                       std::span{out}.subspan(sealed_offset));
  if (!tag)
    return tag.error();
  auto* at = std::copy(header.begin(), header.end(), out.data());
  std::copy(tag->begin(), tag->end(), at);
  return out;
}

result<export_lock> read_export_lock(byte_view octets) {
  if (octets.size() < magic.size() + 1
      || !std::equal(magic.begin(), magic.end(), octets.begin()))
    return not_an_export("it does not start as one");
  if (octets[magic.size()] != format_version)
    return not_an_export("it needs a later version of vtpmctl");
  if (octets.size() < sealed_offset
      || octets.size() - sealed_offset
        != load_be<std::uint32_t>(octets.data() + length_offset))
    return error{errc::damage,
                 "the export is not as long as it says: get it again from "
                 "where it came from"};
  if (octets.size() > export_size_max)
    return not_an_export("it is too long");
  auto out = export_lock{};
  out.kind = static_cast<export_lock_kind>(octets[kind_offset]);
  out.cost = octets[kind_offset + 1];
  std::copy_n(octets.begin() + salt_offset, out.salt.size(), out.salt.begin());
  if (!is_plausible(out))
    return not_an_export("it wants a key made in a way that is not allowed");
  return out;
}

result<export_content> open_export(byte_view octets, byte_view key) {
  assert(octets.size() >= sealed_offset);
  auto gcm = aes_256_gcm::make();
  if (!gcm)
    return gcm.error();
  auto tag = aes_256_gcm::tag{};
  std::copy_n(octets.begin() + export_header_size, tag.size(), tag.begin());
  const auto sealed = octets.subspan(sealed_offset);
  auto plain = secret_bytes(sealed.size());
  auto authentic = gcm->open(key, zero_nonce, octets.first(export_header_size),
                             sealed, tag, plain);
  if (!authentic)
    return authentic.error();
  if (!*authentic)
    return error{errc::wrong_key,
                 "the export does not open: the passphrase or key is another "
                 "one, or the file was changed"};
  auto out = export_content{};
  out.version = static_cast<tpm_version>(octets[kind_offset - 1]);
  if (out.version != tpm_version::v1_2 && out.version != tpm_version::v2_0)
    return not_an_export("it holds a TPM of an unknown version");
  std::copy_n(octets.begin() + uuid_offset, out.id.size(), out.id.begin());
  out.gen = load_be<std::uint64_t>(octets.data() + generation_offset);
  if (out.gen > export_generation_max)
    return not_an_export("its generation is beyond what a TPM reaches");
  if (auto decoded = decode_fields(plain, out); !decoded)
    return decoded.error();
  return out;
}

} // namespace vtpm::tpm
