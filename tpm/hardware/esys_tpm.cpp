#include "tpm/hardware/esys_tpm.hpp"

#include <cstdlib>
#include <mutex>
#include <type_traits>

#include <tss2/tss2_mu.h>

#include "tpm/hardware/esys_counter.hpp"
#include "tpm/hardware/esys_policy.hpp"
#include "tpm/hardware/esys_templates.hpp"

namespace vtpm::tpm {

namespace {

/// An answer with a secret in it.
struct wiped_free {
  template <class T>
  void operator()(T* memory) const noexcept {
    wipe(memory, sizeof(T));
    Esys_Free(memory);
  }
};

/// Marshals one of the TPM's structures.
template <class T, class F>
result<byte_vector> marshal(const T& from, F function) {
  auto out = byte_vector(sizeof(T));
  auto size = std::size_t{0};
  if (function(&from, out.data(), out.size(), &size) != TSS2_RC_SUCCESS)
    return error{errc::hardware, "the hardware TPM gave a malformed object"};
  out.resize(size);
  return out;
}

/// The way back: all of `octets`, nothing else.
template <class T, class F>
result<T> unmarshal(byte_view octets, F function) {
  auto out = T{};
  auto used = std::size_t{0};
  if (function(octets.data(), octets.size(), &used, &out) != TSS2_RC_SUCCESS
      || used != octets.size())
    return error{errc::wrong_key,
                 "the sealed object is malformed: restore a backup"};
  return out;
}

result<sealed_object> seal_in(esys_link& link, byte_view secret,
                              const seal_policy& policy) {
  auto digest = sealing_policy_digest(link, policy);
  if (!digest)
    return digest.error();
  auto parent = link.storage_key();
  if (!parent)
    return parent.error();
  auto sensitive = TPM2B_SENSITIVE_CREATE{};
  auto& data = sensitive.sensitive.data;
  fill(data.size, data.buffer, secret);
  const auto area = sealed_template(*digest);
  const auto outside = TPM2B_DATA{};
  const auto pcrs = TPML_PCR_SELECTION{};
  TPM2B_PRIVATE* private_part = nullptr;
  TPM2B_PUBLIC* public_part = nullptr;
  const auto code = Esys_Create(
    link.context(), parent->get(), link.session(TPMA_SESSION_DECRYPT),
    ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &area, &outside, &pcrs,
    &private_part, &public_part, nullptr, nullptr, nullptr);
  wipe(&sensitive, sizeof(sensitive));
  const auto owned_private = esys_ptr<TPM2B_PRIVATE>{private_part};
  const auto owned_public = esys_ptr<TPM2B_PUBLIC>{public_part};
  auto created = link.check(code, "seal");
  if (!created)
    return created.error();
  auto outer = marshal(*public_part, Tss2_MU_TPM2B_PUBLIC_Marshal);
  auto inner = marshal(*private_part, Tss2_MU_TPM2B_PRIVATE_Marshal);
  if (!outer || !inner)
    return !outer ? outer.error() : inner.error();
  return sealed_object{*std::move(outer), *std::move(inner)};
}

result<esys_object> load(esys_link& link, const sealed_object& sealed) {
  auto area = unmarshal<TPM2B_PUBLIC>(sealed.public_part,
                                      Tss2_MU_TPM2B_PUBLIC_Unmarshal);
  if (!area)
    return area.error();
  auto inner = unmarshal<TPM2B_PRIVATE>(sealed.private_part,
                                        Tss2_MU_TPM2B_PRIVATE_Unmarshal);
  if (!inner)
    return inner.error();
  auto parent = link.storage_key();
  if (!parent)
    return parent.error();
  auto handle = ESYS_TR{ESYS_TR_NONE};
  const auto code
    = Esys_Load(link.context(), parent->get(), link.session(0), ESYS_TR_NONE,
                ESYS_TR_NONE, &*inner, &*area, &handle);
  // Both parameters are the object: its parent has not protected it, or not
  // like this (Part 1, 22.4).
  if (is_refused_parameter(code))
    return error{errc::wrong_key,
                 "the hardware TPM has not sealed this: it is another TPM, it "
                 "was cleared, or the file was changed; put back the right one "
                 "or restore a backup"};
  auto loaded = link.check(code, "load what was sealed");
  if (!loaded)
    return loaded.error();
  return esys_object{link.context(), handle, esys_object::kind::transient};
}

result<secret_bytes> unseal_in(esys_link& link, const sealed_object& sealed,
                               const seal_policy& policy,
                               std::span<const pcr_approval> approvals) {
  auto object = load(link, sealed);
  if (!object)
    return object.error();
  auto session = start_policy_session(link, policy, approvals);
  if (!session)
    return session.error();
  TPM2B_SENSITIVE_DATA* data = nullptr;
  const auto code = Esys_Unseal(link.context(), object->get(), session->get(),
                                ESYS_TR_NONE, ESYS_TR_NONE, &data);
  const auto owned = std::unique_ptr<TPM2B_SENSITIVE_DATA, wiped_free>{data};
  const auto reason = reason_of(code);
  if (reason == TPM2_RC_POLICY_FAIL || reason == TPM2_RC_PCR_CHANGED)
    return error{errc::policy,
                 "the PCRs (" + to_string(policy.pcrs)
                   + ") are not those that the store's key was sealed to: boot "
                     "what it was sealed to, or open it with the recovery "
                     "secret and seal it again"};
  auto unsealed = link.check(code, "unseal");
  if (!unsealed)
    return unsealed.error();
  return secret_bytes{data->buffer, data->buffer + data->size};
}

result<hardware_status> describe(esys_link& link) {
  auto out = hardware_status{};
  auto maker = link.property(TPM2_PT_MANUFACTURER);
  if (!maker)
    return maker.error();
  for (auto shift = 24; shift >= 0; shift -= 8)
    if (const auto letter = static_cast<char>(maker->value_or(0) >> shift);
        letter > ' ' && letter < 0x7F)
      out.manufacturer += letter;
  auto firmware = link.property(TPM2_PT_FIRMWARE_VERSION_1);
  if (!firmware)
    return firmware.error();
  out.firmware = std::to_string(firmware->value_or(0) >> 16) + "."
    + std::to_string(firmware->value_or(0) & 0xFFFF);
  auto startup = link.property(TPM2_PT_STARTUP_CLEAR);
  if (!startup)
    return startup.error();
  out.orderly = (startup->value_or(0) & TPMA_STARTUP_CLEAR_ORDERLY) != 0;
  auto banks = complete_banks(link);
  if (!banks)
    return banks.error();
  out.banks = *std::move(banks);
  TPMS_TIME_INFO* time = nullptr;
  auto read = link.check(Esys_ReadClock(link.context(), ESYS_TR_NONE,
                                        ESYS_TR_NONE, ESYS_TR_NONE, &time),
                         "tell its clock");
  const auto owned = esys_ptr<TPMS_TIME_INFO>{time};
  if (!read)
    return read.error();
  out.resets = time->clockInfo.resetCount;
  return out;
}

result<byte_vector> read_register(esys_link& link, pcr_bank bank,
                                  unsigned index) {
  const auto selection = selection_of({bank, 1u << index});
  TPML_DIGEST* values = nullptr;
  const auto code
    = Esys_PCR_Read(link.context(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                    &selection, nullptr, nullptr, &values);
  const auto owned = esys_ptr<TPML_DIGEST>{values};
  // A bank may be unknown to the TPM, or known and without registers.
  if (reason_of(code) == TPM2_RC_HASH || (code == 0 && values->count != 1))
    return error{errc::not_found,
                 std::string{"the hardware TPM has no PCR bank "}
                   + to_string(bank)};
  auto read = link.check(code, "read a PCR");
  if (!read)
    return read.error();
  const auto& digest = values->digests[0];
  return byte_vector{digest.buffer, digest.buffer + digest.size};
}

result<unit> extend_register(esys_link& link, pcr_bank bank, unsigned index,
                             byte_view digest) {
  auto values = TPML_DIGEST_VALUES{};
  values.count = 1;
  values.digests[0].hashAlg = static_cast<TPMI_ALG_HASH>(bank);
  // All members of the union start where the shortest one does.
  std::copy(digest.begin(), digest.end(),
            reinterpret_cast<std::uint8_t*>(&values.digests[0].digest));
  return link.check(Esys_PCR_Extend(link.context(), ESYS_TR_PCR0 + index,
                                    link.session(0), ESYS_TR_NONE, ESYS_TR_NONE,
                                    &values),
                    "extend a PCR");
}

result<unit> get_random(esys_link& link, std::span<std::uint8_t> target) {
  while (!target.empty()) {
    const auto wanted = std::min<std::size_t>(target.size(), 32);
    TPM2B_DIGEST* octets = nullptr;
    const auto code = Esys_GetRandom(
      link.context(), link.session(TPMA_SESSION_ENCRYPT), ESYS_TR_NONE,
      ESYS_TR_NONE, static_cast<UINT16>(wanted), &octets);
    const auto owned = std::unique_ptr<TPM2B_DIGEST, wiped_free>{octets};
    auto got = link.check(code, "give random octets");
    if (!got)
      return got;
    const auto count = std::min<std::size_t>(octets->size, wanted);
    if (count == 0)
      return error{errc::hardware, "the hardware TPM gives no random octets"};
    std::copy_n(octets->buffer, count, target.begin());
    target = target.subspan(count);
  }
  return unit{};
}

class esys_tpm final : public hardware_tpm {
public:
  explicit esys_tpm(esys_options options) : options_(std::move(options)) {
    // nop
  }

  result<hardware_status> status() override {
    return call(describe);
  }

  result<byte_vector> read_pcr(pcr_bank bank, unsigned index) override {
    assert(index < pcr_count);
    return call(
      [&](esys_link& link) { return read_register(link, bank, index); });
  }

  result<unit> extend_pcr(pcr_bank bank, unsigned index,
                          byte_view digest) override {
    assert(index < pcr_count && digest.size() == digest_size(bank));
    return call_once([&](esys_link& link) {
      return extend_register(link, bank, index, digest);
    });
  }

  result<byte_vector> pcr_policy(const pcr_selection& pcrs) override {
    return call([&](esys_link& link) {
      return pcr_policy_digest(link, pcrs, std::nullopt);
    });
  }

  result<byte_vector> pcr_policy(const pcr_selection& pcrs,
                                 byte_view values) override {
    return call(
      [&](esys_link& link) { return pcr_policy_digest(link, pcrs, values); });
  }

  result<unit> random(std::span<std::uint8_t> target) override {
    return call([&](esys_link& link) { return get_random(link, target); });
  }

  result<sealed_object> seal(byte_view secret,
                             const seal_policy& policy) override {
    assert(!secret.empty() && secret.size() <= sealed_secret_max);
    return call([&](esys_link& link) { return seal_in(link, secret, policy); });
  }

  result<secret_bytes> unseal(
    const sealed_object& sealed, const seal_policy& policy,
    std::span<const pcr_approval> approvals) override {
    return call([&](esys_link& link) {
      return unseal_in(link, sealed, policy, approvals);
    });
  }

  result<counter_reading> define_counter(const nv_counter& counter) override {
    return call_once(
      [&](esys_link& link) { return tpm::define_counter(link, counter); });
  }

  result<counter_reading> read_counter(const nv_counter& counter) override {
    return call(
      [&](esys_link& link) { return tpm::read_counter(link, counter); });
  }

  result<counter_reading> increment_counter(
    const nv_counter& counter) override {
    return call_once(
      [&](esys_link& link) { return tpm::increment_counter(link, counter); });
  }

  result<unit> remove_counter(const nv_counter& counter) override {
    return call_once(
      [&](esys_link& link) { return tpm::remove_counter(link, counter); });
  }

private:
  /// Runs `function` on the connection, and lets go of one that is lost.
  template <class F>
  std::invoke_result_t<F, esys_link&> call_once(F function) {
    const std::lock_guard guard{mutex_};
    return run(function);
  }

  /// The same for what may be done twice: a connection that was lost since the
  /// last call is not the caller's problem.
  template <class F>
  std::invoke_result_t<F, esys_link&> call(F function) {
    const std::lock_guard guard{mutex_};
    const auto was_open = link_ != nullptr;
    auto out = run(function);
    if (!out && was_open && !link_)
      return run(function);
    return out;
  }

  template <class F>
  std::invoke_result_t<F, esys_link&> run(F& function) {
    if (!link_) {
      auto opened = esys_link::open(options_);
      if (!opened)
        return opened.error();
      link_ = *std::move(opened);
    }
    auto out = function(*link_);
    if (!out && link_->is_lost())
      link_.reset();
    return out;
  }

  esys_options options_;
  std::mutex mutex_;
  std::unique_ptr<esys_link> link_; // guarded by mutex_
};

} // namespace

std::unique_ptr<hardware_tpm> make_esys_tpm(esys_options options) {
  // tpm2-tss would say on standard error what we say in an error.
  ::setenv("TSS2_LOG", "all+NONE", /*overwrite=*/0);
  return std::make_unique<esys_tpm>(std::move(options));
}

} // namespace vtpm::tpm
