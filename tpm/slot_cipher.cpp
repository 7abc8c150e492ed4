#include "tpm/slot_cipher.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "protocol/big_endian.hpp"

namespace vtpm::tpm {

namespace {

/// Ties a slot's key to its use. Part of the disk format.
constexpr auto key_label = std::array<std::uint8_t, 10>{
  'v', 't', 'p', 'm', 'd', ' ', 's', 'l', 'o', 't'};

/// Every key seals once, so the nonce need not vary.
constexpr auto zero_nonce = aes_256_gcm::nonce{};

} // namespace

slot_cipher::slot_cipher(hkdf_sha256 hkdf, aes_256_gcm gcm,
                         sha_256 sha) noexcept
  : hkdf_(std::move(hkdf)), gcm_(std::move(gcm)), sha_(std::move(sha)) {
  // nop
}

result<slot_cipher> slot_cipher::make() {
  auto hkdf = hkdf_sha256::make();
  if (!hkdf)
    return hkdf.error();
  auto gcm = aes_256_gcm::make();
  if (!gcm)
    return gcm.error();
  auto sha = sha_256::make();
  if (!sha)
    return sha.error();
  return slot_cipher{*std::move(hkdf), *std::move(gcm), *std::move(sha)};
}

result<secret_bytes> slot_cipher::derive_key(byte_view secret, unsigned slot,
                                             const slot_header& header) {
  using info_type = std::array<std::uint8_t, key_label.size() + 16 + 1 + 8>;
  auto info = info_type{};
  auto* at = std::copy(key_label.begin(), key_label.end(), info.data());
  at = std::copy(header.image.id.begin(), header.image.id.end(), at);
  at = protocol::store_be(at, static_cast<std::uint8_t>(slot));
  at = protocol::store_be(at, header.image.gen);
  assert(at == info.data() + info.size());
  auto key = secret_bytes(aes_256_gcm::key_size);
  auto derived = hkdf_.derive(secret, header.salt, info, key);
  if (!derived)
    return derived.error();
  return key;
}

result<aes_256_gcm::tag> slot_cipher::seal(byte_view key, unsigned slot,
                                           const slot_header& header,
                                           std::span<const byte_view> parts,
                                           std::span<std::uint8_t> target) {
  assert(target.size() == header.sealed_size);
  return gcm_.seal(key, zero_nonce, associated_data(slot, header), parts,
                   target);
}

result<std::optional<secret_bytes>> slot_cipher::open(byte_view key,
                                                      unsigned slot,
                                                      const slot_header& header,
                                                      byte_view octets) {
  const auto sealed = gather_sealed(header, octets);
  auto plain = secret_bytes(sealed.size());
  auto authentic = gcm_.open(key, zero_nonce, associated_data(slot, header),
                             sealed, header.tag, plain);
  if (!authentic)
    return authentic.error();
  if (!*authentic)
    return std::optional<secret_bytes>{};
  return std::optional{std::move(plain)};
}

result<sha_256::digest> slot_cipher::digest(byte_view image) {
  return sha_.hash(image);
}

} // namespace vtpm::tpm
