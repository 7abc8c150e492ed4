#include "tpm/hardware/store_secret.hpp"

#include <algorithm>
#include <cassert>

#include "protocol/big_endian.hpp"
#include "tpm/crypto/random.hpp"

namespace vtpm::tpm {

using protocol::load_be;
using protocol::store_be;

namespace {

/// ASCII: "vTPM recovery key" in four letters.
constexpr auto magic = std::array<std::uint8_t, 4>{'v', 'T', 'r', 'k'};

constexpr std::uint8_t format_version = 1;
constexpr std::size_t auth_size = 32;
constexpr std::size_t kind_offset = magic.size() + 1;
constexpr std::size_t salt_offset = kind_offset + 1 + 1 + 1;
static_assert(salt_offset + 32 == recovery_header_size);

/// Every key seals once, so the nonce need not vary.
constexpr auto zero_nonce = aes_256_gcm::nonce{};

error not_a_recovery(const char* why) {
  return {errc::not_a_state, std::string{"not a recovery file: "} + why};
}

error malformed_secret() {
  return {errc::not_a_state,
          "what was sealed is not a store's key of this version"};
}

std::array<std::uint8_t, recovery_header_size> encode_header(
  const export_lock& lock) noexcept {
  auto out = std::array<std::uint8_t, recovery_header_size>{};
  auto* at = std::copy(magic.begin(), magic.end(), out.data());
  at = store_be(at, format_version);
  at = store_be(at, static_cast<std::uint8_t>(lock.kind));
  at = store_be(at, lock.cost);
  at = store_be(at, std::uint8_t{0});
  std::copy(lock.salt.begin(), lock.salt.end(), at);
  return out;
}

} // namespace

store_secret make_store_secret(std::optional<counter_kind> counter,
                               std::uint32_t counter_index) {
  auto out = store_secret{{secret_bytes(local_key::size)}, std::nullopt};
  fill_random(out.key.octets);
  if (!counter)
    return out;
  auto& made = out.counter.emplace(
    nv_counter{counter_index, *counter, secret_bytes(auth_size)});
  fill_random(made.auth);
  return out;
}

secret_bytes encode_store_secret(const store_secret& secret) {
  assert(secret.key.octets.size() == local_key::size);
  auto out = secret_bytes(store_secret_size);
  auto* at
    = std::copy(secret.key.octets.begin(), secret.key.octets.end(), out.data());
  if (!secret.counter)
    return out;
  const auto& counter = *secret.counter;
  assert(counter.auth.size() == auth_size);
  at = store_be(at, static_cast<std::uint8_t>(counter.kind));
  at = store_be(at, counter.index);
  at = std::copy(counter.auth.begin(), counter.auth.end(), at);
  assert(at == out.data() + out.size());
  return out;
}

result<store_secret> decode_store_secret(byte_view octets) {
  if (octets.size() != store_secret_size)
    return malformed_secret();
  const auto key = octets.first(local_key::size);
  auto out = store_secret{{{key.begin(), key.end()}}, std::nullopt};
  const auto rest = octets.subspan(local_key::size);
  const auto kind = static_cast<counter_kind>(rest[0]);
  if (std::ranges::all_of(rest, [](auto octet) { return octet == 0; }))
    return out;
  if (kind != counter_kind::strict && kind != counter_kind::orderly)
    return malformed_secret();
  const auto auth = rest.last(auth_size);
  out.counter = nv_counter{
    load_be<std::uint32_t>(rest.data() + 1), kind, {auth.begin(), auth.end()}};
  return out;
}

result<byte_vector> seal_recovery(const store_secret& secret,
                                  const export_lock& lock, byte_view key) {
  auto gcm = aes_256_gcm::make();
  if (!gcm)
    return gcm.error();
  const auto header = encode_header(lock);
  const auto plain = encode_store_secret(secret);
  const auto parts = std::array<byte_view, 1>{plain};
  auto out = byte_vector(recovery_size);
  auto tag = gcm->seal(key, zero_nonce, header, parts,
                       std::span{out}.last(store_secret_size));
  if (!tag)
    return tag.error();
  auto* at = std::copy(header.begin(), header.end(), out.data());
  std::copy(tag->begin(), tag->end(), at);
  return out;
}

result<export_lock> read_recovery_lock(byte_view octets) {
  if (octets.size() < magic.size() + 1
      || !std::equal(magic.begin(), magic.end(), octets.begin()))
    return not_a_recovery("it does not start as one");
  if (octets[magic.size()] != format_version)
    return not_a_recovery("it needs a later version");
  if (octets.size() != recovery_size)
    return not_a_recovery("it was cut short, or it grew");
  auto out = export_lock{};
  out.kind = static_cast<export_lock_kind>(octets[kind_offset]);
  out.cost = octets[kind_offset + 1];
  std::copy_n(octets.begin() + salt_offset, out.salt.size(), out.salt.begin());
  if (!is_plausible(out) || octets[kind_offset + 2] != 0)
    return not_a_recovery("it wants a key made in a way that is not allowed");
  return out;
}

result<store_secret> open_recovery(byte_view octets, byte_view key) {
  assert(octets.size() == recovery_size);
  auto gcm = aes_256_gcm::make();
  if (!gcm)
    return gcm.error();
  auto tag = aes_256_gcm::tag{};
  std::copy_n(octets.begin() + recovery_header_size, tag.size(), tag.begin());
  auto plain = secret_bytes(store_secret_size);
  auto authentic
    = gcm->open(key, zero_nonce, octets.first(recovery_header_size),
                octets.last(store_secret_size), tag, plain);
  if (!authentic)
    return authentic.error();
  if (!*authentic)
    return error{errc::wrong_key,
                 "the recovery file does not open: the passphrase or key is "
                 "another one, or the file was changed"};
  return decode_store_secret(plain);
}

} // namespace vtpm::tpm
