#include "deploy/bench/tpm20_commands.hpp"

#include <array>

#include "deploy/bench/packet.hpp"

namespace vtpm::deploy::tpm20 {

namespace {

/// TPM_ST_NO_SESSIONS and TPM_ST_SESSIONS (Part 2, 6.9).
constexpr std::uint16_t st_no_sessions = 0x8001;
constexpr std::uint16_t st_sessions = 0x8002;

/// TPM_CC (Part 2, 6.5.2).
constexpr std::uint32_t cc_nv_define_space = 0x0000012A;
constexpr std::uint32_t cc_create_primary = 0x00000131;
constexpr std::uint32_t cc_nv_write = 0x00000137;
constexpr std::uint32_t cc_nv_read = 0x0000014E;
constexpr std::uint32_t cc_create = 0x00000153;
constexpr std::uint32_t cc_quote = 0x00000158;
constexpr std::uint32_t cc_sign = 0x0000015D;
constexpr std::uint32_t cc_flush_context = 0x00000165;
constexpr std::uint32_t cc_get_random = 0x0000017B;
constexpr std::uint32_t cc_pcr_read = 0x0000017E;
constexpr std::uint32_t cc_pcr_extend = 0x00000182;

/// TPM_RH_OWNER and TPM_RS_PW (Part 2, 7.4).
constexpr handle rh_owner = 0x40000001;
constexpr handle rs_pw = 0x40000009;

/// TPM_ALG_ID (Part 2, 6.3).
constexpr std::uint16_t alg_rsa = 0x0001;
constexpr std::uint16_t alg_aes = 0x0006;
constexpr std::uint16_t alg_sha256 = 0x000B;
constexpr std::uint16_t alg_null = 0x0010;
constexpr std::uint16_t alg_rsassa = 0x0014;
constexpr std::uint16_t alg_ecdsa = 0x0018;
constexpr std::uint16_t alg_ecc = 0x0023;
constexpr std::uint16_t alg_cfb = 0x0043;

constexpr std::size_t sha256_size = 32;

/// TPM_ECC_NIST_P256 (Part 2, 6.4).
constexpr std::uint16_t ecc_nist_p256 = 0x0003;

/// TPM_ST_HASHCHECK (Part 2, 6.9).
constexpr std::uint16_t st_hashcheck = 0x8024;

/// TPMA_OBJECT (Part 2, 8.3).
constexpr std::uint32_t object_common
  = 1u << 1 /* fixedTPM */ | 1u << 4            /* fixedParent */
  | 1u << 5 /* sensitiveDataOrigin */ | 1u << 6 /* userWithAuth */
  | 1u << 10 /* noDA */;
constexpr std::uint32_t object_restricted = 1u << 16;
constexpr std::uint32_t object_decrypt = 1u << 17;
constexpr std::uint32_t object_sign = 1u << 18;

/// TPMA_NV (Part 2, 13.4): read and written by owner or by the index itself.
constexpr std::uint32_t nv_attributes
  = 1u << 1 /* OWNERWRITE */ | 1u << 2 /* AUTHWRITE */
  | 1u << 17 /* OWNERREAD */ | 1u << 18 /* AUTHREAD */ | 1u << 25 /* NO_DA */;

/// One password session with the empty password (Part 1, 19.4): handle, nonce,
/// attributes, password.
packet& put_authorization(packet& out) {
  constexpr std::uint32_t size = 4 + 2 + 1 + 2;
  return out.put(size).put(rs_pw).zeros(2 + 1 + 2);
}

/// A TPML_PCR_SELECTION of PCR 0 to 7, bank SHA-256.
packet& put_pcr_selection(packet& out) {
  constexpr auto first_eight = std::array<std::uint8_t, 3>{0xFF, 0x00, 0x00};
  return out.put(std::uint32_t{1})
    .put(alg_sha256)
    .put(static_cast<std::uint8_t>(first_eight.size()))
    .put(first_eight);
}

void put_rsa_parameters(packet& out) {
  constexpr std::uint16_t key_bits = 2048;
  constexpr std::uint32_t default_exponent = 0;
  out.put(alg_null).put(alg_rsassa).put(alg_sha256);
  out.put(key_bits).put(default_exponent);
  out.put_sized({});
}

void put_ecc_parameters(packet& out, key_kind kind) {
  constexpr std::uint16_t aes_bits = 128;
  if (kind == key_kind::ecc_storage)
    out.put(alg_aes).put(aes_bits).put(alg_cfb).put(alg_null);
  else
    out.put(alg_null).put(alg_ecdsa).put(alg_sha256);
  out.put(ecc_nist_p256).put(alg_null);
  out.put_sized({}).put_sized({});
}

/// The area of TPMT_PUBLIC (Part 2, 12.2.4).
byte_vector public_area(key_kind kind) {
  const auto is_rsa = kind == key_kind::rsa_signing;
  const auto purpose = kind == key_kind::ecc_storage
    ? object_restricted | object_decrypt
    : object_sign;
  // A packet only for its way to append.
  packet area{0, 0};
  area.put(is_rsa ? alg_rsa : alg_ecc).put(alg_sha256);
  area.put(object_common | purpose);
  area.put_sized({});
  if (is_rsa)
    put_rsa_parameters(area);
  else
    put_ecc_parameters(area, kind);
  const auto body = area.body();
  return {body.begin(), body.end()};
}

/// What TPM2_CreatePrimary and TPM2_Create have in common.
byte_vector create_under(std::uint32_t code, handle parent, key_kind kind) {
  packet out{st_sessions, code};
  out.put(parent);
  put_authorization(out);
  // TPM2B_SENSITIVE_CREATE: an empty password and no data.
  constexpr std::uint16_t sensitive_size = 2 + 2;
  out.put(sensitive_size).zeros(sensitive_size);
  out.put_sized(public_area(kind));
  // outsideInfo and creationPCR: none.
  return out.put_sized({}).put(std::uint32_t{0}).finish();
}

} // namespace

byte_vector pcr_read() {
  packet out{st_no_sessions, cc_pcr_read};
  return put_pcr_selection(out).finish();
}

byte_vector pcr_extend() {
  constexpr handle pcr_16 = 16;
  packet out{st_sessions, cc_pcr_extend};
  put_authorization(out.put(pcr_16));
  out.put(std::uint32_t{1}).put(alg_sha256).zeros(sha256_size);
  return out.finish();
}

byte_vector get_random() {
  constexpr std::uint16_t wanted = 32;
  return packet{st_no_sessions, cc_get_random}.put(wanted).finish();
}

byte_vector nv_define() {
  packet out{st_sessions, cc_nv_define_space};
  put_authorization(out.put(rh_owner));
  // The empty password, then TPM2B_NV_PUBLIC.
  out.put_sized({});
  constexpr std::uint16_t public_size = 4 + 2 + 4 + 2 + 2;
  out.put(public_size).put(nv_index).put(alg_sha256).put(nv_attributes);
  return out.put_sized({}).put(nv_size).finish();
}

byte_vector nv_write(std::uint64_t value) {
  packet out{st_sessions, cc_nv_write};
  put_authorization(out.put(nv_index).put(nv_index));
  out.put(nv_size).put(value).zeros(nv_size - sizeof(value));
  constexpr std::uint16_t offset = 0;
  return out.put(offset).finish();
}

byte_vector nv_read() {
  packet out{st_sessions, cc_nv_read};
  put_authorization(out.put(nv_index).put(nv_index));
  constexpr std::uint16_t offset = 0;
  return out.put(nv_size).put(offset).finish();
}

byte_vector create_primary(key_kind kind) {
  return create_under(cc_create_primary, rh_null, kind);
}

byte_vector create(handle parent, key_kind kind) {
  return create_under(cc_create, parent, kind);
}

byte_vector sign(handle key) {
  packet out{st_sessions, cc_sign};
  put_authorization(out.put(key));
  out.put_sized(byte_vector(sha256_size));
  // The key's own scheme; no ticket: the key is not restricted.
  return out.put(alg_null)
    .put(st_hashcheck)
    .put(rh_null)
    .put_sized({})
    .finish();
}

byte_vector quote(handle key) {
  packet out{st_sessions, cc_quote};
  put_authorization(out.put(key));
  out.put_sized({}).put(alg_null);
  return put_pcr_selection(out).finish();
}

byte_vector flush(handle object) {
  return packet{st_no_sessions, cc_flush_context}.put(object).finish();
}

} // namespace vtpm::deploy::tpm20
