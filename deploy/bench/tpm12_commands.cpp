#include "deploy/bench/tpm12_commands.hpp"

#include <utility>

#include "deploy/bench/packet.hpp"
#include "deploy/bench/tpm12_oaep.hpp"
#include "protocol/tpm_header.hpp"

namespace vtpm::deploy::tpm12 {

namespace {

/// TPM_TAG_RQU_COMMAND and TPM_TAG_RQU_AUTH1_COMMAND (Part 2, 6).
constexpr std::uint16_t tag_rqu_command = 0x00C1;
constexpr std::uint16_t tag_rqu_auth1_command = 0x00C2;

/// Ordinals (Part 2, 17).
constexpr std::uint32_t ord_take_ownership = 0x0000000D;
constexpr std::uint32_t ord_extend = 0x00000014;
constexpr std::uint32_t ord_pcr_read = 0x00000015;
constexpr std::uint32_t ord_create_wrap_key = 0x0000001F;
constexpr std::uint32_t ord_get_random = 0x00000046;
constexpr std::uint32_t ord_physical_enable = 0x0000006F;
constexpr std::uint32_t ord_physical_set_deactivated = 0x00000072;
constexpr std::uint32_t ord_create_endorsement_key_pair = 0x00000078;
constexpr std::uint32_t ord_read_pubek = 0x0000007C;
constexpr std::uint32_t ord_nv_define_space = 0x000000CC;
constexpr std::uint32_t ord_nv_write_value_auth = 0x000000CE;
constexpr std::uint32_t ord_nv_read_value = 0x000000CF;
constexpr std::uint32_t ord_physical_presence = 0x4000000A;

/// TPM_KH_SRK and TPM_ET_KEYHANDLE (Part 2, 4.4 and 4.3).
constexpr std::uint32_t kh_srk = 0x40000000;
constexpr std::uint16_t et_keyhandle = 0x0001;

constexpr std::uint32_t rsa_bits = 2048;
constexpr std::size_t rsa_size = rsa_bits / 8;

/// TPM_RSA_KEY_PARMS (Part 2, 10.1.1) with the default exponent.
packet& put_rsa_parameters(packet& out) {
  constexpr std::uint32_t primes = 2;
  constexpr std::uint32_t exponent_size = 0;
  constexpr std::uint32_t size = 4 + 4 + 4;
  return out.put(size).put(rsa_bits).put(primes).put(exponent_size);
}

/// What tells one TPM_KEY from another.
struct key_purpose {
  std::uint16_t usage;
  std::uint16_t encryption;
  std::uint16_t signature;
};

/// TPM_KEY_SIGNING and TPM_KEY_STORAGE (Part 2, 5.8), with TPM_ENC_SCHEME and
/// TPM_SIG_SCHEME (5.8.1).
constexpr key_purpose signing = {0x0010, 0x0001, 0x0002};
constexpr key_purpose storage = {0x0011, 0x0003, 0x0001};

/// TPM_KEY (Part 2, 10.2) as a template: not migratable, bound to no PCR, no
/// key in it yet.
packet& put_key_template(packet& out, const key_purpose& purpose) {
  constexpr std::uint32_t version_1_1 = 0x01010000;
  constexpr std::uint32_t no_flags = 0;
  constexpr std::uint8_t auth_always = 1;
  constexpr std::uint32_t alg_rsa = 1;
  out.put(version_1_1).put(purpose.usage).put(no_flags).put(auth_always);
  out.put(alg_rsa).put(purpose.encryption).put(purpose.signature);
  // No PCR information, no public key, no private part.
  return put_rsa_parameters(out).zeros(4 + 4 + 4);
}

/// Returns the modulus of the endorsement key.
result<byte_vector> endorsement_modulus(const transactor& run) {
  constexpr auto what = "TPM_ReadPubek";
  const auto command
    = packet{tag_rqu_command, ord_read_pubek}.zeros(sizeof(digest)).finish();
  const auto response = run_or_fail(run, command, what);
  if (!response)
    return response.error();
  // TPM_PUBKEY (Part 2, 10.4): algorithm, schemes, RSA parameters, then the
  // size of the modulus and the modulus.
  constexpr std::size_t offset
    = protocol::tpm_header::encoded_size + 4 + 2 + 2 + 4 + 12 + 4;
  const auto modulus = part_of(*response, offset, rsa_size, what);
  if (!modulus)
    return modulus.error();
  return byte_vector{modulus->begin(), modulus->end()};
}

/// TPM_PCR_INFO_SHORT (Part 2, 8.5): no PCR, every locality.
packet& put_any_pcr_info(packet& out) {
  constexpr std::uint16_t select_size = 3;
  constexpr std::uint8_t all_localities = 0x1F;
  return out.put(select_size)
    .zeros(select_size)
    .put(all_localities)
    .zeros(sizeof(digest));
}

} // namespace

byte_vector pcr_read() {
  constexpr std::uint32_t pcr_0 = 0;
  return packet{tag_rqu_command, ord_pcr_read}.put(pcr_0).finish();
}

byte_vector extend() {
  constexpr std::uint32_t pcr_16 = 16;
  return packet{tag_rqu_command, ord_extend}
    .put(pcr_16)
    .zeros(sizeof(digest))
    .finish();
}

byte_vector get_random() {
  constexpr std::uint32_t wanted = 32;
  return packet{tag_rqu_command, ord_get_random}.put(wanted).finish();
}

byte_vector nv_define() {
  // TPM_NV_DATA_PUBLIC (Part 2, 19.3) and TPM_NV_PER_AUTHWRITE (19.2.1).
  constexpr std::uint16_t tag_nv_data_public = 0x0018;
  constexpr std::uint16_t tag_nv_attributes = 0x0017;
  constexpr std::uint32_t per_authwrite = 0x00000004;
  packet out{tag_rqu_command, ord_nv_define_space};
  out.put(tag_nv_data_public).put(nv_index);
  put_any_pcr_info(put_any_pcr_info(out));
  out.put(tag_nv_attributes).put(per_authwrite);
  // bReadSTClear, bWriteSTClear, bWriteDefine.
  out.zeros(3).put(nv_size);
  return out.put(well_known_secret).finish();
}

byte_vector nv_read() {
  constexpr std::uint32_t offset = 0;
  return packet{tag_rqu_command, ord_nv_read_value}
    .put(nv_index)
    .put(offset)
    .put(nv_size)
    .finish();
}

byte_vector nv_write(const session& owner, std::uint64_t value) {
  constexpr std::uint32_t offset = 0;
  packet out{tag_rqu_auth1_command, ord_nv_write_value_auth};
  out.put(nv_index).put(offset).put(nv_size);
  out.put(value).zeros(nv_size - sizeof(value));
  return owner.authorize(std::move(out), ord_nv_write_value_auth, 0);
}

byte_vector create_wrap_key(const session& srk) {
  packet out{tag_rqu_auth1_command, ord_create_wrap_key};
  out.put(kh_srk);
  // Usage and migration secret, encrypted. What they decrypt to is nothing that
  // anyone needs.
  out.zeros(2 * sizeof(digest));
  put_key_template(out, signing);
  return srk.authorize(std::move(out), ord_create_wrap_key, sizeof(kh_srk));
}

result<session> open_srk_session(const transactor& run) {
  return session::open_osap(run, et_keyhandle, kh_srk, well_known_secret);
}

result<unit> activate(const transactor& run) {
  // TPM_PHYSICAL_PRESENCE (Part 2, 4.9).
  constexpr std::uint16_t presence_cmd_enable = 0x0020;
  constexpr std::uint16_t presence_present = 0x0008;
  constexpr std::uint8_t no = 0;
  const auto commands = {
    packet{tag_rqu_command, ord_physical_presence}
      .put(presence_cmd_enable)
      .finish(),
    packet{tag_rqu_command, ord_physical_presence}
      .put(presence_present)
      .finish(),
    packet{tag_rqu_command, ord_physical_enable}.finish(),
    packet{tag_rqu_command, ord_physical_set_deactivated}.put(no).finish(),
  };
  for (const auto& command : commands)
    if (auto done = run_or_fail(run, command, "activating the TPM"); !done)
      return done.error();
  return unit{};
}

result<unit> create_endorsement_key(const transactor& run) {
  // TPM_ES_RSAESOAEP_SHA1_MGF1 and TPM_SS_NONE.
  constexpr std::uint32_t alg_rsa = 1;
  packet out{tag_rqu_command, ord_create_endorsement_key_pair};
  out.zeros(sizeof(digest)).put(alg_rsa);
  out.put(storage.encryption).put(storage.signature);
  put_rsa_parameters(out);
  auto done = run_or_fail(run, out.finish(), "TPM_CreateEndorsementKeyPair");
  if (!done)
    return done.error();
  return unit{};
}

result<unit> take_ownership(const transactor& run) {
  constexpr std::uint16_t pid_owner = 0x0005;
  constexpr auto encrypted_size = static_cast<std::uint32_t>(rsa_size);
  const auto modulus = endorsement_modulus(run);
  if (!modulus)
    return modulus.error();
  const auto secret = encrypt_oaep(*modulus, well_known_secret);
  if (!secret)
    return secret.error();
  const auto owner = session::open_oiap(run, well_known_secret);
  if (!owner)
    return owner.error();
  packet out{tag_rqu_auth1_command, ord_take_ownership};
  out.put(pid_owner);
  out.put(encrypted_size).put(*secret).put(encrypted_size).put(*secret);
  put_key_template(out, storage);
  auto done
    = run_or_fail(run, owner->authorize(std::move(out), ord_take_ownership, 0),
                  "TPM_TakeOwnership");
  if (!done)
    return done.error();
  return unit{};
}

} // namespace vtpm::deploy::tpm12
