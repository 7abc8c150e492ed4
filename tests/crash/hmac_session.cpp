#include "tests/crash/hmac_session.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "deploy/bench/packet.hpp"
#include "protocol/big_endian.hpp"
#include "protocol/tpm_header.hpp"
#include "tests/simulation/commands.hpp"

namespace vtpm::crash {

namespace {

using deploy::packet;
using protocol::load_be;

/// TPM_ST (Part 2, 6.9), TPM_CC (6.5.2), TPM_RH and TPM_RS (7.4), TPM_ALG
/// (6.3).
constexpr std::uint16_t st_no_sessions = 0x8001;
constexpr std::uint16_t st_sessions = 0x8002;
constexpr std::uint32_t cc_nv_define_space = 0x0000012A;
constexpr std::uint32_t cc_nv_increment = 0x00000134;
constexpr std::uint32_t cc_nv_read = 0x0000014E;
constexpr std::uint32_t cc_start_auth_session = 0x00000176;
constexpr std::uint32_t rh_owner = 0x40000001;
constexpr std::uint32_t rh_null = 0x40000007;
constexpr std::uint32_t rs_pw = 0x40000009;
constexpr std::uint16_t alg_sha256 = 0x000B;
constexpr std::uint16_t alg_null = 0x0010;

/// TPM_SE_HMAC (6.11) and TPMA_SESSION continueSession (8.4).
constexpr std::uint8_t se_hmac = 0;
constexpr std::uint8_t continue_session = 1;

/// TPMA_NV (13.4): AUTHWRITE, AUTHREAD, NO_DA, TPM_NT_COUNTER, and WRITTEN.
constexpr std::uint32_t nv_attributes = 1u << 2 | 1u << 18 | 1u << 25 | 1u << 4;
constexpr std::uint32_t nv_written = 1u << 29;

constexpr std::uint32_t nv_indexes = 0x01500300;
constexpr std::uint16_t counter_size = 8;

constexpr std::array<std::uint8_t, 6> secret{'c', 'r', 'a', 's', 'h', '!'};

/// Of both sides: the TPM's are as long as the one that opened the session.
constexpr std::size_t nonce_size = 16;

byte_vector sha256(byte_view data) {
  byte_vector out(SHA256_DIGEST_LENGTH);
  SHA256(data.data(), data.size(), out.data());
  return out;
}

byte_vector hmac(byte_view data) {
  byte_vector out(SHA256_DIGEST_LENGTH);
  HMAC(EVP_sha256(), secret.data(), secret.size(), data.data(), data.size(),
       out.data(), nullptr);
  return out;
}

/// Octets one after the other.
class text {
public:
  text& put(byte_view octets) {
    octets_.insert(octets_.end(), octets.begin(), octets.end());
    return *this;
  }

  template <std::unsigned_integral T>
  text& put(T value) {
    auto wire = std::array<std::uint8_t, sizeof(T)>{};
    protocol::store_be(wire.data(), value);
    return put(wire);
  }

  byte_view octets() const noexcept {
    return octets_;
  }

private:
  byte_vector octets_;
};

/// One password session with the empty password or the secret.
packet& put_password(packet& out, byte_view password) {
  out.put(static_cast<std::uint32_t>(4 + 2 + 1 + 2 + password.size()));
  return out.put(rs_pw).zeros(2 + 1).put_sized(password);
}

} // namespace

hmac_session::hmac_session(const runner& run, unsigned number)
  : run_(run), index_(nv_indexes + number) {
  packet define{st_sessions, cc_nv_define_space};
  put_password(define.put(rh_owner), {}).put_sized(secret);
  constexpr std::uint16_t public_size = 4 + 2 + 4 + 2 + 2;
  define.put(public_size).put(index_).put(alg_sha256).put(nv_attributes);
  run_(define.put_sized({}).put(counter_size).finish());
  packet first{st_sessions, cc_nv_increment};
  run_(put_password(first.put(index_).put(index_), secret).finish());
}

byte_vector hmac_session::name() const {
  const auto digest = sha256(text{}
                               .put(index_)
                               .put(alg_sha256)
                               .put(nv_attributes | nv_written)
                               .put(std::uint16_t{0})
                               .put(counter_size)
                               .octets());
  const auto out = text{}.put(alg_sha256).put(digest);
  return {out.octets().begin(), out.octets().end()};
}

void hmac_session::open() {
  packet start{st_no_sessions, cc_start_auth_session};
  start.put(rh_null).put(rh_null).put_sized(byte_vector(nonce_size));
  start.put_sized({}).put(se_hmac).put(alg_null).put(alg_sha256);
  const auto response = run_(start.finish());
  const auto* at = response.data() + protocol::tpm_header::encoded_size;
  handle_ = load_be<std::uint32_t>(at);
  const auto size = load_be<std::uint16_t>(at + 4);
  nonce_tpm_.assign(at + 6, at + 6 + size);
}

void hmac_session::increment() {
  auto nonce = byte_vector(nonce_size);
  protocol::store_be(nonce.data(), ++nonces_);
  const auto own = name();
  const auto command_hash
    = sha256(text{}.put(cc_nv_increment).put(own).put(own).octets());
  const auto proof = hmac(text{}
                            .put(command_hash)
                            .put(nonce)
                            .put(nonce_tpm_)
                            .put(continue_session)
                            .octets());
  packet out{st_sessions, cc_nv_increment};
  out.put(index_).put(index_);
  out.put(
    static_cast<std::uint32_t>(4 + 2 + nonce.size() + 1 + 2 + proof.size()));
  out.put(handle_).put_sized(nonce).put(continue_session).put_sized(proof);
  const auto response = run_(out.finish());

  // Behind the header: no parameters, their size, then the TPM's half.
  constexpr auto parameters = protocol::tpm_header::encoded_size + 4;
  const auto expected
    = parameters + 2 + nonce_size + 1 + 2 + SHA256_DIGEST_LENGTH;
  if (response.size() != expected)
    throw std::runtime_error{"an authorized response of "
                             + std::to_string(response.size()) + " octets"};
  const auto* at = response.data() + parameters + 2;
  nonce_tpm_.assign(at, at + nonce_size);
  const auto response_hash
    = sha256(text{}.put(std::uint32_t{0}).put(cc_nv_increment).octets());
  const auto wanted = hmac(text{}
                             .put(response_hash)
                             .put(nonce_tpm_)
                             .put(nonce)
                             .put(continue_session)
                             .octets());
  if (!std::equal(wanted.begin(), wanted.end(),
                  response.end() - SHA256_DIGEST_LENGTH))
    throw std::runtime_error{"a response that the TPM did not authorize"};
}

std::uint64_t hmac_session::read() {
  packet out{st_sessions, cc_nv_read};
  put_password(out.put(index_).put(index_), secret);
  const auto response = run_(out.put(counter_size).zeros(2).finish());
  const auto number = simulation::number_in(tpm_version::v2_0, response);
  if (!number)
    throw std::runtime_error{"a counter was not read"};
  return *number;
}

} // namespace vtpm::crash
