#include "tpm/state_store.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

#include "tpm/aligned_buffer.hpp"
#include "tpm/crypto/random.hpp"
#include "tpm/slot_examination.hpp"
#include "tpm/slot_payload.hpp"

namespace vtpm::tpm {

slot_device::~slot_device() = default;

namespace {

result<examination> sync_and_examine(slot_device& device, slot_cipher& cipher) {
  auto synced = device.sync();
  if (!synced)
    return synced.error();
  return examine(device, cipher);
}

} // namespace

struct state_store::impl {
  impl(slot_cipher algorithms, std::size_t alignment)
    : cipher(std::move(algorithms)),
      device_alignment(alignment),
      buffer(alignment, slot_size) {
    // nop
  }

  slot_cipher cipher;
  /// Authority `local`'s. Empty: each writing has its own, of which nothing
  /// stays but the key in the authority's record.
  std::optional<secret_bytes> secret;
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
  /// Where the counter is; the next image has its next number.
  std::optional<counter_reading> counter;
  /// The next image's write, of a store that is counted.
  std::optional<slot_write> counted_write;
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

  /// Makes the key of one writing.
  result<secret_bytes> new_key(unsigned slot, const slot_header& header) {
    if (secret)
      return cipher.derive_key(*secret, slot, header);
    auto once = secret_bytes(local_key::size);
    fill_random(once);
    return cipher.derive_key(once, slot, header);
  }

  /// Returns the next image's number, of a store that is counted.
  std::optional<std::uint64_t> number() const noexcept {
    if (!counter)
      return std::nullopt;
    return next_number(*counter);
  }

  /// Checks what the opened state's number says.
  result<counter_verdict> check(const slot_payload& payload, bool adopt) const;

  static result<opened> go_on_from(unsigned slot, examination& found,
                                   std::optional<tpm_version> expected,
                                   std::unique_ptr<impl> state,
                                   bool adopt = false);

  static result<std::unique_ptr<impl>> make_blank(slot_device& device,
                                                  tpm_version version,
                                                  const uuid& id);
};

state_store::state_store(std::unique_ptr<impl> state) noexcept
  : impl_(std::move(state)) {
  // nop
}

state_store::~state_store() = default;

/// Takes over what was found in the slot that is live.
result<state_store::opened> state_store::impl::go_on_from(
  unsigned slot, examination& found, std::optional<tpm_version> expected,
  std::unique_ptr<impl> state, bool adopt) {
  const auto& image = found.slots[slot].scan.header->image;
  if (expected && *expected != image.version)
    return error{errc::other_version,
                 std::string{"the state belongs to a TPM "}
                   + to_string(image.version) + ", not to a TPM "
                   + to_string(*expected)};
  auto payload = decode_payload(*found.plain[slot]);
  if (!payload)
    return payload.error();
  auto verdict = state->check(*payload, adopt);
  if (!verdict)
    return verdict.error();
  // From the counter on, not from the number: what is adopted may have any.
  if (verdict->ahead)
    state->counter->value = *payload->number;
  state->version = image.version;
  state->id = image.id;
  state->shadow_key = std::move(payload->shadow_key);
  state->durable = image.gen;
  state->live = slot;
  state->live_count = image.count;
  return opened{std::unique_ptr<state_store>{new state_store(std::move(state))},
                std::make_shared<const snapshot>(std::move(payload->state)),
                describe(found.slots), payload->number.value_or(0), *verdict};
}

result<counter_verdict> state_store::impl::check(const slot_payload& payload,
                                                 bool adopt) const {
  if (!counter && payload.number)
    return error{errc::unusable,
                 "this state is counted by a hardware TPM: name that TPM"};
  if (!counter || adopt)
    return counter_verdict{};
  if (!payload.number)
    return error{errc::rollback,
                 "this state was not counted when it was written: it is older "
                 "than its counter, or was put here by somebody else"};
  return judge(*payload.number, *counter);
}

/// Makes sure that there is nothing, and starts from there.
result<std::unique_ptr<state_store::impl>> state_store::impl::make_blank(
  slot_device& device, tpm_version version, const uuid& id) {
  auto cipher = slot_cipher::make();
  if (!cipher)
    return cipher.error();
  auto found = sync_and_examine(device, *cipher);
  if (!found)
    return found.error();
  for (const auto& slot : found->slots)
    if (slot.scan.condition != slot_condition::empty)
      return error{errc::exists,
                   "there is something already, wipe it first if it is not "
                   "needed: "
                     + describe(found->slots)};
  auto state = std::make_unique<impl>(*std::move(cipher), device.alignment());
  state->version = version;
  state->id = id;
  state->shadow_key.resize(shadow_key_size);
  fill_random(state->shadow_key);
  return state;
}

result<state_store::opened> state_store::open(
  slot_device& device, const local_key& key,
  std::optional<tpm_version> expected, bool accept_older) {
  assert(key.octets.size() == local_key::size);
  auto cipher = slot_cipher::make();
  if (!cipher)
    return cipher.error();
  auto found = sync_and_examine(device, *cipher);
  if (!found)
    return found.error();
  auto tried = unseal(*found, *cipher, key.octets);
  if (!tried)
    return tried.error();
  auto choice = choose_slot(found->slots, accept_older);
  if (!choice)
    return choice.error();
  auto state = std::make_unique<impl>(*std::move(cipher), device.alignment());
  state->secret = key.octets;
  state->whole_slot_next = choice->older_accepted;
  return impl::go_on_from(choice->live, *found, expected, std::move(state));
}

result<state_store::opened> state_store::open(
  slot_device& device, const local_key& key,
  std::optional<tpm_version> expected, const counter_reading& counter,
  bool adopt) {
  assert(key.octets.size() == local_key::size);
  auto cipher = slot_cipher::make();
  if (!cipher)
    return cipher.error();
  auto found = sync_and_examine(device, *cipher);
  if (!found)
    return found.error();
  auto tried = unseal(*found, *cipher, key.octets);
  if (!tried)
    return tried.error();
  auto choice = choose_slot(found->slots, /*accept_older=*/false);
  const auto open_question = !choice
    && (choice.error().code == errc::rollback
        || choice.error().code == errc::damage);
  const auto why = choice ? std::string{} : choice.error().detail;
  if (open_question)
    choice = choose_slot(found->slots, /*accept_older=*/true);
  if (!choice)
    return choice.error();
  auto state = std::make_unique<impl>(*std::move(cipher), device.alignment());
  state->secret = key.octets;
  state->counter = counter;
  state->whole_slot_next = choice->older_accepted;
  auto out
    = impl::go_on_from(choice->live, *found, expected, std::move(state), adopt);
  // A counter that has jumped cannot answer what the slots leave open.
  if (out && open_question && out->verdict.unsure > 0)
    return error{errc::damage, why};
  return out;
}

result<state_store::opened> state_store::open(
  slot_device& device, const key_record& record,
  std::optional<tpm_version> expected) {
  assert(record.key.size() == aes_256_gcm::key_size);
  auto cipher = slot_cipher::make();
  if (!cipher)
    return cipher.error();
  auto found = sync_and_examine(device, *cipher);
  if (!found)
    return found.error();
  const auto live = choose_recorded_slot(found->slots, record.slot_digest);
  if (!live)
    return live.error();
  const auto& header = *found->slots[*live].scan.header;
  auto plain = cipher->open(record.key, *live, header, found->slot(*live));
  if (!plain)
    return plain.error();
  if (!*plain)
    return error{errc::wrong_key,
                 "the key that the key authority has on record does not open "
                 "the slot it has on record: "
                   + describe(found->slots)};
  found->plain[*live] = *std::move(plain);
  found->slots[*live].authentic = true;
  return impl::go_on_from(
    *live, *found, expected,
    std::make_unique<impl>(*std::move(cipher), device.alignment()));
}

result<std::unique_ptr<state_store>> state_store::create(slot_device& device,
                                                         const local_key& key,
                                                         tpm_version version,
                                                         const uuid& id) {
  assert(key.octets.size() == local_key::size);
  auto state = impl::make_blank(device, version, id);
  if (!state)
    return state.error();
  (*state)->secret = key.octets;
  return std::unique_ptr<state_store>{new state_store(*std::move(state))};
}

result<std::unique_ptr<state_store>> state_store::create(
  slot_device& device, const local_key& key, tpm_version version,
  const uuid& id, const counter_reading& counter) {
  auto made = create(device, key, version, id);
  if (made)
    (*made)->impl_->counter = counter;
  return made;
}

result<std::unique_ptr<state_store>> state_store::create(slot_device& device,
                                                         tpm_version version,
                                                         const uuid& id) {
  auto state = impl::make_blank(device, version, id);
  if (!state)
    return state.error();
  return std::unique_ptr<state_store>{new state_store(*std::move(state))};
}

result<slot_write> state_store::prepare(generation gen, const snapshot& state) {
  assert(gen > impl_->durable);
  if (impl_->counted_write)
    return *impl_->counted_write;
  const auto slot = 1 - impl_->live;
  const auto number = impl_->number();
  const encoded_payload payload{state, impl_->shadow_key, number};
  auto header = impl_->new_header(gen, payload.size());
  if (!header)
    return header.error();
  auto key = impl_->new_key(slot, *header);
  if (!key)
    return key.error();
  impl_->sealed.resize(payload.size());
  auto tag
    = impl_->cipher.seal(*key, slot, *header, payload.parts(), impl_->sealed);
  if (!tag)
    return tag.error();
  header->tag = *tag;
  const auto image
    = impl_->buffer.span().first(header->image.count * sector_size);
  encode_image(slot, *header, impl_->sealed, image);
  auto digest = impl_->cipher.digest(image);
  if (!digest)
    return digest.error();
  impl_->pending = header->image;
  auto write
    = slot_write{std::uint64_t{slot} * slot_size, image,
                 key_record{*std::move(key), *digest, number.value_or(0)}};
  if (number)
    impl_->counted_write = write;
  return write;
}

durable_receipt state_store::acknowledge() {
  assert(impl_->pending);
  impl_->durable = impl_->pending->gen;
  impl_->live = 1 - impl_->live;
  impl_->live_count = impl_->pending->count;
  impl_->whole_slot_next = false;
  if (impl_->counted_write)
    impl_->counter->value = impl_->counted_write->record.number;
  impl_->counted_write.reset();
  impl_->pending.reset();
  return latest();
}

durable_receipt state_store::latest() const noexcept {
  return durable_receipt{impl_->durable};
}

byte_view state_store::shadow_key() const noexcept {
  return impl_->shadow_key;
}

void state_store::renew_shadow_key() {
  fill_random(impl_->shadow_key);
}

store_status state_store::status() const noexcept {
  return {impl_->version, impl_->id, impl_->durable, impl_->live};
}

} // namespace vtpm::tpm
