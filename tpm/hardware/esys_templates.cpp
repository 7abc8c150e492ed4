#include "tpm/hardware/esys_templates.hpp"

#include <algorithm>
#include <cassert>

namespace vtpm::tpm {

namespace {

TPM2B_PUBLIC public_area(TPMI_ALG_PUBLIC type,
                         TPMA_OBJECT attributes) noexcept {
  auto out = TPM2B_PUBLIC{};
  out.publicArea.type = type;
  out.publicArea.nameAlg = TPM2_ALG_SHA256;
  out.publicArea.objectAttributes = attributes;
  return out;
}

/// Octets and the field of a sized buffer that they go to.
template <class Buffer, class Octets>
void put(Buffer& target, const Octets& octets) noexcept {
  assert(octets.size() <= sizeof(target.buffer));
  target.size = static_cast<UINT16>(octets.size());
  std::copy(octets.begin(), octets.end(), target.buffer);
}

} // namespace

TPM2B_PUBLIC storage_key_template() noexcept {
  auto out = public_area(TPM2_ALG_ECC,
                         TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT
                           | TPMA_OBJECT_SENSITIVEDATAORIGIN
                           | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA
                           | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT);
  auto& ecc = out.publicArea.parameters.eccDetail;
  ecc.symmetric = {TPM2_ALG_AES, {.aes = 128}, {.aes = TPM2_ALG_CFB}};
  ecc.scheme.scheme = TPM2_ALG_NULL;
  ecc.curveID = TPM2_ECC_NIST_P256;
  ecc.kdf.scheme = TPM2_ALG_NULL;
  // The template has both coordinates, of zeros.
  out.publicArea.unique.ecc.x.size = 32;
  out.publicArea.unique.ecc.y.size = 32;
  return out;
}

TPM2B_PUBLIC sealed_template(byte_view policy) noexcept {
  auto out = public_area(TPM2_ALG_KEYEDHASH,
                         TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT
                           | TPMA_OBJECT_NODA);
  put(out.publicArea.authPolicy, policy);
  out.publicArea.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL;
  return out;
}

TPM2B_PUBLIC verifying_template(const public_key& key) noexcept {
  constexpr auto attributes
    = TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_SIGN_ENCRYPT;
  if (const auto* rsa = std::get_if<rsa_public_key>(&key)) {
    auto out = public_area(TPM2_ALG_RSA, attributes);
    auto& detail = out.publicArea.parameters.rsaDetail;
    detail.symmetric.algorithm = TPM2_ALG_NULL;
    detail.scheme.scheme = TPM2_ALG_NULL;
    detail.keyBits = static_cast<UINT16>(rsa->modulus.size() * 8);
    // Zero stands for the usual one.
    detail.exponent = rsa->exponent == 65537 ? 0 : rsa->exponent;
    put(out.publicArea.unique.rsa, rsa->modulus);
    return out;
  }
  const auto& point = std::get<p256_public_key>(key);
  auto out = public_area(TPM2_ALG_ECC, attributes);
  auto& detail = out.publicArea.parameters.eccDetail;
  detail.symmetric.algorithm = TPM2_ALG_NULL;
  detail.scheme.scheme = TPM2_ALG_NULL;
  detail.curveID = TPM2_ECC_NIST_P256;
  detail.kdf.scheme = TPM2_ALG_NULL;
  put(out.publicArea.unique.ecc.x, point.x);
  put(out.publicArea.unique.ecc.y, point.y);
  return out;
}

result<TPMT_SIGNATURE> signature_of(const public_key& key, byte_view octets) {
  auto out = TPMT_SIGNATURE{};
  if (std::holds_alternative<rsa_public_key>(key)) {
    auto& rsa = out.signature.rsassa;
    if (octets.size() > sizeof(rsa.sig.buffer))
      return error{errc::unusable, "the signature is too long"};
    out.sigAlg = TPM2_ALG_RSASSA;
    rsa.hash = TPM2_ALG_SHA256;
    put(rsa.sig, octets);
    return out;
  }
  auto parsed = parse_p256_signature(octets);
  if (!parsed)
    return parsed.error();
  auto& ecdsa = out.signature.ecdsa;
  out.sigAlg = TPM2_ALG_ECDSA;
  ecdsa.hash = TPM2_ALG_SHA256;
  put(ecdsa.signatureR, parsed->r);
  put(ecdsa.signatureS, parsed->s);
  return out;
}

TPML_PCR_SELECTION selection_of(const pcr_selection& pcrs) noexcept {
  auto out = TPML_PCR_SELECTION{};
  out.count = 1;
  auto& one = out.pcrSelections[0];
  one.hash = static_cast<TPMI_ALG_HASH>(pcrs.bank);
  one.sizeofSelect = pcr_count / 8;
  for (auto i = 0u; i < one.sizeofSelect; ++i)
    one.pcrSelect[i] = static_cast<BYTE>(pcrs.mask >> (8 * i));
  return out;
}

TPM2B_NV_PUBLIC counter_template(const nv_counter& counter) noexcept {
  auto out = TPM2B_NV_PUBLIC{};
  auto& area = out.nvPublic;
  area.nvIndex = counter.index;
  area.nameAlg = TPM2_ALG_SHA256;
  area.attributes = TPMA_NV_AUTHREAD | TPMA_NV_AUTHWRITE | TPMA_NV_NO_DA
    | (TPM2_NT_COUNTER << TPMA_NV_TPM2_NT_SHIFT);
  if (counter.kind == counter_kind::orderly)
    area.attributes |= TPMA_NV_ORDERLY;
  area.dataSize = 8;
  return out;
}

} // namespace vtpm::tpm
