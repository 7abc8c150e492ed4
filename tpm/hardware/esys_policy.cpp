#include "tpm/hardware/esys_policy.hpp"

#include <algorithm>
#include <cassert>

#include "tpm/crypto/sha256.hpp"
#include "tpm/hardware/esys_templates.hpp"

namespace vtpm::tpm {

namespace {

constexpr std::uint32_t all_registers = (1u << pcr_count) - 1;

/// Nobody is told more than the digest of a policy: no qualifier.
constexpr auto no_qualifier = TPM2B_NONCE{};

template <class Buffer>
result<Buffer> sized(byte_view octets, const char* what) {
  auto out = Buffer{};
  if (octets.size() > sizeof(out.buffer))
    return error{errc::unusable, std::string{what} + " is too long"};
  fill(out.size, out.buffer, octets);
  return out;
}

result<byte_vector> digest_of(esys_link& link, const esys_object& session) {
  TPM2B_DIGEST* digest = nullptr;
  auto got = link.check(Esys_PolicyGetDigest(link.context(), session.get(),
                                             ESYS_TR_NONE, ESYS_TR_NONE,
                                             ESYS_TR_NONE, &digest),
                        "tell a policy");
  const auto owned = esys_ptr<TPM2B_DIGEST>{digest};
  if (!got)
    return got.error();
  return byte_vector{digest->buffer, digest->buffer + digest->size};
}

result<unit> require_pcrs(esys_link& link, const esys_object& session,
                          const pcr_selection& pcrs,
                          const TPM2B_DIGEST& values) {
  const auto selection = selection_of(pcrs);
  return link.check(Esys_PolicyPCR(link.context(), session.get(), ESYS_TR_NONE,
                                   ESYS_TR_NONE, ESYS_TR_NONE, &values,
                                   &selection),
                    "take PCRs for a policy");
}

/// The approver's key in the TPM, and its Name.
struct loaded_approver {
  public_key key;
  esys_object object;
  TPM2B_NAME name;
};

result<loaded_approver> load_approver(esys_link& link, const std::string& pem) {
  auto key = parse_public_key(pem);
  if (!key)
    return key.error();
  const auto area = verifying_template(*key);
  auto handle = ESYS_TR{ESYS_TR_NONE};
  auto loaded = link.check(
    Esys_LoadExternal(link.context(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                      nullptr, &area, ESYS_TR_RH_OWNER, &handle),
    "load the approver's public key");
  if (!loaded)
    return loaded.error();
  auto object
    = esys_object{link.context(), handle, esys_object::kind::transient};
  auto octets = link.name_of(handle);
  if (!octets)
    return octets.error();
  auto name = TPM2B_NAME{};
  fill(name.size, name.name, *octets);
  return loaded_approver{*std::move(key), std::move(object), name};
}

/// Has the TPM verify an approval; returns its ticket.
result<TPMT_TK_VERIFIED> verify(esys_link& link, const loaded_approver& by,
                                const pcr_approval& approval) {
  auto signature = signature_of(by.key, approval.signature);
  if (!signature)
    return signature.error();
  auto hash = sha_256::make();
  if (!hash)
    return hash.error();
  // aHash of Part 3, 23.16, with an empty qualifier.
  auto hashed = hash->hash(approval.policy);
  if (!hashed)
    return hashed.error();
  auto digest = sized<TPM2B_DIGEST>(*hashed, "a digest");
  TPMT_TK_VERIFIED* ticket = nullptr;
  const auto code = Esys_VerifySignature(
    link.context(), by.object.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
    &*digest, &*signature, &ticket);
  const auto owned = esys_ptr<TPMT_TK_VERIFIED>{ticket};
  if (reason_of(code) == TPM2_RC_SIGNATURE)
    return error{errc::policy,
                 "the approval of these PCRs is not signed by the approver's "
                 "key: sign it again"};
  auto verified = link.check(code, "verify an approval");
  if (!verified)
    return verified.error();
  return *ticket;
}

/// Turns a policy that demands these PCRs into one that the approver has
/// accepted.
result<unit> authorize(esys_link& link, const esys_object& session,
                       const seal_policy& policy,
                       std::span<const pcr_approval> approvals) {
  auto now = digest_of(link, session);
  if (!now)
    return now.error();
  const auto approval
    = std::ranges::find(approvals, *now, &pcr_approval::policy);
  if (approval == approvals.end())
    return error{errc::policy,
                 "nobody has approved the PCRs as they are ("
                   + to_string(policy.pcrs)
                   + "): have their policy signed, see vtpmctl manager policy"};
  auto key = load_approver(link, policy.approver);
  if (!key)
    return key.error();
  auto ticket = verify(link, *key, *approval);
  if (!ticket)
    return ticket.error();
  auto approved = sized<TPM2B_DIGEST>(*now, "a policy");
  return link.check(Esys_PolicyAuthorize(link.context(), session.get(),
                                         ESYS_TR_NONE, ESYS_TR_NONE,
                                         ESYS_TR_NONE, &*approved,
                                         &no_qualifier, &key->name, &*ticket),
                    "take an approval");
}

} // namespace

result<std::vector<pcr_bank>> complete_banks(esys_link& link) {
  TPMS_CAPABILITY_DATA* data = nullptr;
  auto got = link.check(Esys_GetCapability(link.context(), ESYS_TR_NONE,
                                           ESYS_TR_NONE, ESYS_TR_NONE,
                                           TPM2_CAP_PCRS, 0, 1, nullptr, &data),
                        "tell its PCR banks");
  const auto owned = esys_ptr<TPMS_CAPABILITY_DATA>{data};
  if (!got)
    return got.error();
  auto banks = std::vector<pcr_bank>{};
  const auto& found = data->data.assignedPCR;
  for (auto i = 0u; i < found.count; ++i) {
    const auto& one = found.pcrSelections[i];
    auto mask = std::uint32_t{0};
    for (auto octet = 0u; octet < one.sizeofSelect && octet < 3; ++octet)
      mask |= std::uint32_t{one.pcrSelect[octet]} << (8 * octet);
    const auto bank = static_cast<pcr_bank>(one.hash);
    if (mask == all_registers && digest_size(bank) != 0)
      banks.push_back(bank);
  }
  return banks;
}

result<unit> check_bank(esys_link& link, const pcr_selection& pcrs) {
  auto banks = complete_banks(link);
  if (!banks)
    return banks.error();
  if (std::ranges::find(*banks, pcrs.bank) != banks->end())
    return unit{};
  auto text = std::string{"the hardware TPM has no PCR bank "}
    + to_string(pcrs.bank) + ", but";
  for (const auto bank : *banks)
    text += std::string{" "} + to_string(bank);
  return error{errc::not_found, std::move(text)};
}

result<byte_vector> pcr_policy_digest(esys_link& link,
                                      const pcr_selection& pcrs,
                                      std::optional<byte_view> values) {
  auto there = check_bank(link, pcrs);
  if (!there)
    return there.error();
  auto digest = TPM2B_DIGEST{};
  if (values) {
    auto hash = sha_256::make();
    if (!hash)
      return hash.error();
    auto hashed = hash->hash(*values);
    if (!hashed)
      return hashed.error();
    fill(digest.size, digest.buffer, *hashed);
  }
  auto session = link.start_session(TPM2_SE_TRIAL);
  if (!session)
    return session.error();
  auto required = require_pcrs(link, *session, pcrs, digest);
  if (!required)
    return required.error();
  return digest_of(link, *session);
}

result<byte_vector> sealing_policy_digest(esys_link& link,
                                          const seal_policy& policy) {
  if (policy.approver.empty())
    return pcr_policy_digest(link, policy.pcrs, std::nullopt);
  auto there = check_bank(link, policy.pcrs);
  if (!there)
    return there.error();
  auto key = load_approver(link, policy.approver);
  if (!key)
    return key.error();
  auto session = link.start_session(TPM2_SE_TRIAL);
  if (!session)
    return session.error();
  const auto any = TPM2B_DIGEST{};
  // A trial session takes any ticket (Part 3, 23.16).
  const auto ticket = TPMT_TK_VERIFIED{TPM2_ST_VERIFIED, TPM2_RH_OWNER, {}};
  auto authorized
    = link.check(Esys_PolicyAuthorize(link.context(), session->get(),
                                      ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                      &any, &no_qualifier, &key->name, &ticket),
                 "make a policy of an approver's key");
  if (!authorized)
    return authorized.error();
  return digest_of(link, *session);
}

result<esys_object> start_policy_session(
  esys_link& link, const seal_policy& policy,
  std::span<const pcr_approval> approvals) {
  auto session = link.start_session(TPM2_SE_POLICY);
  if (!session)
    return session.error();
  auto required = require_pcrs(link, *session, policy.pcrs, TPM2B_DIGEST{});
  if (!required)
    return required.error();
  if (!policy.approver.empty()) {
    auto authorized = authorize(link, *session, policy, approvals);
    if (!authorized)
      return authorized.error();
  }
  return session;
}

} // namespace vtpm::tpm
