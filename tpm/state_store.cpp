#include "tpm/state_store.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "protocol/big_endian.hpp"
#include "tpm/aligned_buffer.hpp"
#include "tpm/crypto/hkdf.hpp"
#include "tpm/crypto/random.hpp"
#include "tpm/crypto/sha256.hpp"
#include "tpm/slot_choice.hpp"
#include "tpm/slot_format.hpp"
#include "tpm/slot_payload.hpp"

namespace vtpm::tpm {

slot_device::~slot_device() = default;

namespace {

/// Ties a slot's key to its use. Part of the disk format.
constexpr auto key_label = std::array<std::uint8_t, 10>{
  'v', 't', 'p', 'm', 'd', ' ', 's', 'l', 'o', 't'};

/// Every key seals once, so the nonce need not vary.
constexpr auto zero_nonce = aes_256_gcm::nonce{};

/// The algorithms that slots are made of.
struct slot_crypto {
  hkdf_sha256 hkdf;
  aes_256_gcm gcm;
  sha_256 sha;

  static result<slot_crypto> make() {
    auto hkdf = hkdf_sha256::make();
    if (!hkdf)
      return hkdf.error();
    auto gcm = aes_256_gcm::make();
    if (!gcm)
      return gcm.error();
    auto sha = sha_256::make();
    if (!sha)
      return sha.error();
    return slot_crypto{*std::move(hkdf), *std::move(gcm), *std::move(sha)};
  }

  /// Derives the key of one writing of one slot.
  result<secret_bytes> key_for(byte_view secret, unsigned slot,
                               const slot_header& header) {
    using info_type = std::array<std::uint8_t, key_label.size() + 16 + 1 + 8>;
    auto info = info_type{};
    auto* at = std::copy(key_label.begin(), key_label.end(), info.data());
    at = std::copy(header.image.id.begin(), header.image.id.end(), at);
    at = protocol::store_be(at, static_cast<std::uint8_t>(slot));
    at = protocol::store_be(at, header.image.gen);
    assert(at == info.data() + info.size());
    auto key = secret_bytes(aes_256_gcm::key_size);
    auto derived = hkdf.derive(secret, header.salt, info, key);
    if (!derived)
      return derived.error();
    return key;
  }

  /// Decrypts an intact slot; nullopt when the key does not open it.
  result<std::optional<secret_bytes>> open_slot(byte_view secret, unsigned slot,
                                                const slot_header& header,
                                                byte_view octets) {
    auto key = key_for(secret, slot, header);
    if (!key)
      return key.error();
    const auto sealed = gather_sealed(header, octets);
    auto plain = secret_bytes(sealed.size());
    auto authentic = gcm.open(*key, zero_nonce, associated_data(slot, header),
                              sealed, header.tag, plain);
    if (!authentic)
      return authentic.error();
    if (!*authentic)
      return std::optional<secret_bytes>{};
    return std::optional{std::move(plain)};
  }
};

/// What reading a slot gave.
struct slot_reading {
  bool complete = true;
  /// Why something could not be read.
  error reason{};
  bool nothing = false;
};

/// Reads a slot, and what of it can be read when not all can.
slot_reading read_slot(slot_device& device, unsigned slot,
                       std::span<std::uint8_t> target) {
  const auto start = std::uint64_t{slot} * slot_size;
  if (device.read(start, target))
    return {};
  auto out = slot_reading{false, {}, true};
  const auto step = std::max(device.alignment(), sector_size);
  for (std::size_t offset = 0; offset < slot_size; offset += step) {
    const auto block = target.subspan(offset, step);
    auto done = device.read(start + offset, block);
    if (done) {
      out.nothing = false;
      continue;
    }
    // Neither zeros nor a frame: what could not be read proves nothing.
    std::fill(block.begin(), block.end(), std::uint8_t{0xFF});
    out.reason = done.error();
  }
  return out;
}

result<unit> check_alignment(const slot_device& device) {
  const auto alignment = device.alignment();
  if (alignment >= sector_size && alignment <= slot_size
      && (alignment & (alignment - 1)) == 0)
    return unit{};
  return error{errc::unusable,
               "the device wants writes aligned to " + std::to_string(alignment)
                 + " octets; a power of two from 512 to "
                 + std::to_string(slot_size) + " is needed"};
}

} // namespace

struct state_store::impl {
  impl(slot_crypto algorithms, const local_key& key, std::size_t alignment)
    : crypto(std::move(algorithms)),
      secret(key.octets),
      device_alignment(alignment),
      buffer(alignment, slot_size) {
    assert(secret.size() == local_key::size);
  }

  slot_crypto crypto;
  secret_bytes secret;
  std::size_t device_alignment;
  tpm_version version{};
  uuid id{};
  secret_bytes shadow_key;
  generation durable = 0;
  unsigned live = 1;
  /// How many sectors the live image has; 0 before the first commit.
  std::uint16_t live_count = 0;
  /// The next image covers its slot, so that no trace of a history that was
  /// given up misleads a later start.
  bool whole_slot_next = false;
  /// What `prepare` made and nobody acknowledged yet.
  std::optional<image_id> pending;
  /// The image under way.
  aligned_buffer buffer;
  byte_vector sealed;

  /// Starts a header for a new image in the inactive slot.
  result<slot_header> new_header(generation gen, std::size_t sealed_size) {
    const auto alignment = whole_slot_next ? slot_size : device_alignment;
    const auto size = image_size_for(sealed_size, alignment);
    if (!size)
      return error{errc::too_large,
                   "the TPM's state does not fit into a slot: "
                     + std::to_string(sealed_size) + " octets, at most "
                     + std::to_string(sealed_size_max)};
    auto out = slot_header{};
    out.image.version = version;
    out.image.id = id;
    out.image.gen = gen;
    out.image.parent = durable;
    out.image.peer_count = live_count;
    out.image.count = static_cast<std::uint16_t>(*size / sector_size);
    fill_random(out.salt);
    std::copy_n(out.salt.begin(), out.image.write.size(),
                out.image.write.begin());
    out.sealed_size = static_cast<std::uint32_t>(sealed_size);
    return out;
  }
};

state_store::state_store(std::unique_ptr<impl> state) noexcept
  : impl_(std::move(state)) {
  // nop
}

state_store::~state_store() = default;

namespace {

/// Both slots as read, and what the key found in them.
struct examination {
  aligned_buffer octets;
  examined_slots slots;
  std::array<std::optional<secret_bytes>, 2> plain;

  byte_view slot(unsigned number) noexcept {
    return octets.span().subspan(number * slot_size, slot_size);
  }
};

/// Reads and scans both slots; no key is needed.
result<examination> examine(slot_device& device) {
  auto aligned = check_alignment(device);
  if (!aligned)
    return aligned.error();
  auto synced = device.sync();
  if (!synced)
    return synced.error();
  auto out
    = examination{aligned_buffer{device.alignment(), 2 * slot_size}, {}, {}};
  auto nothing = true;
  auto reason = error{};
  for (unsigned i = 0; i < 2; ++i) {
    auto reading = read_slot(
      device, i, out.octets.span().subspan(i * slot_size, slot_size));
    nothing = nothing && reading.nothing;
    if (!reading.complete)
      reason = std::move(reading.reason);
    out.slots[i].unreadable = !reading.complete;
    out.slots[i].scan = scan_slot(i, out.slot(i));
  }
  if (nothing)
    return reason;
  return out;
}

/// Tries the key on every slot that is intact.
result<unit> unseal(examination& found, slot_crypto& crypto, byte_view secret) {
  for (unsigned i = 0; i < 2; ++i) {
    const auto& header = found.slots[i].scan.header;
    if (!header)
      continue;
    auto plain = crypto.open_slot(secret, i, *header, found.slot(i));
    if (!plain)
      return plain.error();
    found.plain[i] = *std::move(plain);
    found.slots[i].authentic = found.plain[i].has_value();
  }
  return unit{};
}

} // namespace

result<state_store::opened> state_store::open(
  slot_device& device, const local_key& key,
  std::optional<tpm_version> expected, bool accept_older) {
  auto crypto = slot_crypto::make();
  if (!crypto)
    return crypto.error();
  auto found = examine(device);
  if (!found)
    return found.error();
  auto tried = unseal(*found, *crypto, key.octets);
  if (!tried)
    return tried.error();
  auto choice = choose_slot(found->slots, accept_older);
  if (!choice)
    return choice.error();
  const auto& image = found->slots[choice->live].scan.header->image;
  if (expected && *expected != image.version)
    return error{errc::other_version,
                 std::string{"the state belongs to a TPM "}
                   + to_string(image.version) + ", not to a TPM "
                   + to_string(*expected)};
  auto payload = decode_payload(*found->plain[choice->live]);
  if (!payload)
    return payload.error();
  auto state
    = std::make_unique<impl>(*std::move(crypto), key, device.alignment());
  state->version = image.version;
  state->id = image.id;
  state->shadow_key = std::move(payload->shadow_key);
  state->durable = image.gen;
  state->live = choice->live;
  state->live_count = image.count;
  state->whole_slot_next = choice->older_accepted;
  return opened{std::unique_ptr<state_store>{new state_store(std::move(state))},
                std::make_shared<const snapshot>(std::move(payload->state)),
                describe(found->slots)};
}

result<std::unique_ptr<state_store>> state_store::create(slot_device& device,
                                                         const local_key& key,
                                                         tpm_version version,
                                                         const uuid& id) {
  auto crypto = slot_crypto::make();
  if (!crypto)
    return crypto.error();
  auto found = examine(device);
  if (!found)
    return found.error();
  for (const auto& slot : found->slots)
    if (slot.scan.condition != slot_condition::empty)
      return error{errc::exists,
                   "there is something already, wipe it first if it is not "
                   "needed: "
                     + describe(found->slots)};
  auto state
    = std::make_unique<impl>(*std::move(crypto), key, device.alignment());
  state->version = version;
  state->id = id;
  state->shadow_key.resize(shadow_key_size);
  fill_random(state->shadow_key);
  return std::unique_ptr<state_store>{new state_store(std::move(state))};
}

result<slot_write> state_store::prepare(generation gen, const snapshot& state) {
  assert(gen > impl_->durable);
  const auto slot = 1 - impl_->live;
  const encoded_payload payload{state, impl_->shadow_key};
  auto header = impl_->new_header(gen, payload.size());
  if (!header)
    return header.error();
  auto& crypto = impl_->crypto;
  auto key = crypto.key_for(impl_->secret, slot, *header);
  if (!key)
    return key.error();
  impl_->sealed.resize(payload.size());
  auto tag = crypto.gcm.seal(*key, zero_nonce, associated_data(slot, *header),
                             payload.parts(), impl_->sealed);
  if (!tag)
    return tag.error();
  header->tag = *tag;
  const auto image
    = impl_->buffer.span().first(header->image.count * sector_size);
  encode_image(slot, *header, impl_->sealed, image);
  auto digest = crypto.sha.hash(image);
  if (!digest)
    return digest.error();
  impl_->pending = header->image;
  return slot_write{std::uint64_t{slot} * slot_size, image,
                    key_record{*std::move(key), *digest}};
}

durable_receipt state_store::acknowledge() {
  assert(impl_->pending);
  impl_->durable = impl_->pending->gen;
  impl_->live = 1 - impl_->live;
  impl_->live_count = impl_->pending->count;
  impl_->whole_slot_next = false;
  impl_->pending.reset();
  return latest();
}

durable_receipt state_store::latest() const noexcept {
  return durable_receipt{impl_->durable};
}

store_status state_store::status() const noexcept {
  return {impl_->version, impl_->id, impl_->durable, impl_->live};
}

} // namespace vtpm::tpm
