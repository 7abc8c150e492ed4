#include "tests/simulation/commands.hpp"

#include <algorithm>

#include <openssl/sha.h>

#include "deploy/bench/packet.hpp"
#include "deploy/bench/tpm20_commands.hpp"
#include "protocol/big_endian.hpp"
#include "protocol/tpm_header.hpp"

namespace vtpm::simulation {

namespace {

using deploy::packet;

/// TPM_ST_SESSIONS, TPM_ST_NO_SESSIONS (2.0 Part 2, 6.9), TPM_CC (6.5.2),
/// TPM_RH_OWNER and TPM_RS_PW (7.4), TPM_ALG_SHA256 (6.3).
constexpr std::uint16_t st_no_sessions = 0x8001;
constexpr std::uint16_t st_sessions = 0x8002;
constexpr std::uint32_t cc_nv_define_space = 0x0000012A;
constexpr std::uint32_t cc_nv_increment = 0x00000134;
constexpr std::uint32_t cc_nv_write = 0x00000137;
constexpr std::uint32_t cc_nv_read = 0x0000014E;
constexpr std::uint32_t cc_pcr_read = 0x0000017E;
constexpr std::uint32_t cc_pcr_extend = 0x00000182;
constexpr std::uint32_t rh_owner = 0x40000001;
constexpr std::uint32_t rs_pw = 0x40000009;
constexpr std::uint16_t alg_sha256 = 0x000B;

/// Of the owner's range (TCG Registry of Reserved TPM 2.0 Handles).
constexpr std::uint32_t nv_counters = 0x01500100;
constexpr std::uint32_t nv_numbers = 0x01500200;

/// TPMA_NV (Part 2, 13.4): AUTHWRITE, AUTHREAD and NO_DA; TPM_NT_COUNTER.
constexpr std::uint32_t nv_attributes = 1u << 2 | 1u << 18 | 1u << 25;
constexpr std::uint32_t nt_counter = 1u << 4;

/// TPM_TAG_RQU_COMMAND (1.2 Part 2, 6) and ordinals (17).
constexpr std::uint16_t tag_rqu_command = 0x00C1;
constexpr std::uint32_t ord_extend = 0x00000014;
constexpr std::uint32_t ord_pcr_read = 0x00000015;
constexpr std::uint32_t ord_nv_define_space = 0x000000CC;
constexpr std::uint32_t ord_nv_write_value = 0x000000CD;
constexpr std::uint32_t ord_nv_read_value = 0x000000CF;

/// TPM_NV_DATA_PUBLIC (1.2 Part 2, 19.3), TPM_NV_PER_PPWRITE (19.2.1).
constexpr std::uint16_t tag_nv_data_public = 0x0018;
constexpr std::uint16_t tag_nv_attributes = 0x0017;
constexpr std::uint32_t per_ppwrite = 0x00000001;
constexpr std::uint32_t nv_index_1_2 = 0x00011200;

constexpr std::size_t sha1_size = SHA_DIGEST_LENGTH;
constexpr std::size_t sha256_size = SHA256_DIGEST_LENGTH;
constexpr std::uint16_t number_size = sizeof(std::uint64_t);

std::size_t digest_size(tpm_version version) noexcept {
  return version == tpm_version::v1_2 ? sha1_size : sha256_size;
}

/// The digest that an extend with `value` is about.
packet& put_digest(packet& out, tpm_version version, std::uint64_t value) {
  return out.zeros(digest_size(version) - number_size).put(value);
}

/// One password session with the empty password (Part 1, 19.4).
packet& put_authorization(packet& out) {
  constexpr std::uint32_t size = 4 + 2 + 1 + 2;
  return out.put(size).put(rs_pw).zeros(2 + 1 + 2);
}

byte_vector read_nv(std::uint32_t index) {
  packet out{st_sessions, cc_nv_read};
  put_authorization(out.put(index).put(index));
  return out.put(number_size).zeros(2).finish();
}

byte_vector read_pcr(std::uint32_t pcr) {
  auto selected = std::array<std::uint8_t, 3>{};
  selected[pcr / 8] = static_cast<std::uint8_t>(1u << pcr % 8);
  return packet{st_no_sessions, cc_pcr_read}
    .put(std::uint32_t{1})
    .put(alg_sha256)
    .put(static_cast<std::uint8_t>(selected.size()))
    .put(selected)
    .finish();
}

byte_vector encode_2_0(const command& asked) {
  const auto counter = nv_counters + asked.target;
  const auto number = nv_numbers + asked.target;
  switch (asked.what) {
    case deed::increment: {
      packet out{st_sessions, cc_nv_increment};
      return put_authorization(out.put(counter).put(counter)).finish();
    }
    case deed::write: {
      packet out{st_sessions, cc_nv_write};
      put_authorization(out.put(number).put(number));
      return out.put(number_size).put(asked.value).zeros(2).finish();
    }
    case deed::extend: {
      packet out{st_sessions, cc_pcr_extend};
      put_authorization(out.put(std::uint32_t{asked.target}));
      out.put(std::uint32_t{1}).put(alg_sha256);
      return put_digest(out, tpm_version::v2_0, asked.value).finish();
    }
    case deed::read_counter:
      return read_nv(counter);
    case deed::read_number:
      return read_nv(number);
    case deed::read_pcr:
      return read_pcr(asked.target);
    case deed::create:
      return deploy::tpm20::create_primary(
        deploy::tpm20::key_kind::ecc_signing);
    case deed::garbage:
      break;
  }
  // No TPM has a tag of zeros.
  return packet{0, 0}.finish();
}

byte_vector encode_1_2(const command& asked) {
  const auto index = nv_index_1_2 + asked.target;
  constexpr std::uint32_t offset = 0;
  constexpr std::uint32_t size = number_size;
  switch (asked.what) {
    case deed::write:
      return packet{tag_rqu_command, ord_nv_write_value}
        .put(index)
        .put(offset)
        .put(size)
        .put(asked.value)
        .finish();
    case deed::extend: {
      packet out{tag_rqu_command, ord_extend};
      out.put(std::uint32_t{asked.target});
      return put_digest(out, tpm_version::v1_2, asked.value).finish();
    }
    case deed::read_number:
      return packet{tag_rqu_command, ord_nv_read_value}
        .put(index)
        .put(offset)
        .put(size)
        .finish();
    case deed::read_pcr:
      return packet{tag_rqu_command, ord_pcr_read}
        .put(std::uint32_t{asked.target})
        .finish();
    case deed::increment:
    case deed::read_counter:
    case deed::create:
    case deed::garbage:
      break;
  }
  return packet{0, 0}.finish();
}

byte_vector define_2_0(std::uint32_t index, std::uint32_t attributes) {
  packet out{st_sessions, cc_nv_define_space};
  put_authorization(out.put(rh_owner)).put_sized({});
  constexpr std::uint16_t public_size = 4 + 2 + 4 + 2 + 2;
  out.put(public_size).put(index).put(alg_sha256).put(attributes);
  return out.put_sized({}).put(number_size).finish();
}

/// TPM_PCR_INFO_SHORT (1.2 Part 2, 8.5): no PCR, every locality.
packet& put_any_pcr_info(packet& out) {
  constexpr std::uint16_t select_size = 3;
  constexpr std::uint8_t all_localities = 0x1F;
  return out.put(select_size)
    .zeros(select_size)
    .put(all_localities)
    .zeros(sha1_size);
}

byte_vector define_1_2(std::uint32_t index) {
  packet out{tag_rqu_command, ord_nv_define_space};
  out.put(tag_nv_data_public).put(index);
  put_any_pcr_info(put_any_pcr_info(out));
  out.put(tag_nv_attributes).put(per_ppwrite);
  out.zeros(3).put(std::uint32_t{number_size});
  return out.zeros(sha1_size).finish();
}

} // namespace

std::string to_string(const guest_state& state) {
  static constexpr char digits[] = "0123456789abcdef";
  auto text = "counter " + std::to_string(state.counter) + " number "
    + std::to_string(state.number) + " pcr ";
  // Enough to tell one from another.
  for (std::size_t i = 0; i < 4; ++i) {
    text += digits[state.pcr[i] >> 4];
    text += digits[state.pcr[i] & 0xF];
  }
  return text;
}

const char* name_of(deed what) noexcept {
  static constexpr const char* names[]
    = {"increment",   "write",    "extend", "read_counter",
       "read_number", "read_pcr", "create", "garbage"};
  return names[static_cast<unsigned>(what)];
}

byte_vector encode(tpm_version version, const command& asked) {
  return version == tpm_version::v1_2 ? encode_1_2(asked) : encode_2_0(asked);
}

guest_state after(tpm_version version, const guest_state& before,
                  const command& asked) {
  auto state = before;
  if (asked.what == deed::increment) {
    ++state.counter;
  } else if (asked.what == deed::write) {
    state.number = asked.value;
  } else if (asked.what == deed::extend) {
    const auto size = digest_size(version);
    auto input = std::array<std::uint8_t, 2 * sha256_size>{};
    std::copy_n(state.pcr.begin(), size, input.begin());
    protocol::store_be(input.data() + 2 * size - number_size, asked.value);
    (size == sha1_size ? SHA1 : SHA256)(input.data(), 2 * size,
                                        state.pcr.data());
  }
  return state;
}

std::uint32_t result_of(byte_view response) noexcept {
  return protocol::load_be<std::uint32_t>(response.data() + 6);
}

std::optional<std::uint64_t> number_in(tpm_version version,
                                       byte_view response) noexcept {
  // Behind the header: the size of the parameters and that of the data; 1.2
  // has only the latter, in four octets.
  const auto offset = protocol::tpm_header::encoded_size
    + (version == tpm_version::v1_2 ? 4u : 4u + 2u);
  if (response.size() < offset + number_size)
    return std::nullopt;
  return protocol::load_be<std::uint64_t>(response.data() + offset);
}

std::optional<pcr_value> pcr_in(tpm_version version,
                                byte_view response) noexcept {
  // 2.0: the update counter, the selection again, one digest with its size.
  const auto offset = protocol::tpm_header::encoded_size
    + (version == tpm_version::v1_2 ? 0u : 4u + 10u + 4u + 2u);
  const auto size = digest_size(version);
  if (response.size() < offset + size)
    return std::nullopt;
  auto value = pcr_value{};
  std::copy_n(response.data() + offset, size, value.begin());
  return value;
}

std::vector<byte_vector> preparation(tpm_version version, unsigned guest) {
  const auto zero = encode(version, {deed::write, guest, 0});
  if (version == tpm_version::v1_2)
    return {define_1_2(nv_index_1_2 + guest), zero};
  return {define_2_0(nv_counters + guest, nv_attributes | nt_counter),
          define_2_0(nv_numbers + guest, nv_attributes),
          // The first increment starts a counter at more than any that was.
          encode(version, {deed::increment, guest, 0}), zero};
}

} // namespace vtpm::simulation
