#include "deploy/bench/tpm12_session.hpp"

#include <algorithm>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "protocol/tpm_header.hpp"

namespace vtpm::deploy::tpm12 {

namespace {

/// TPM_TAG_RQU_COMMAND (Part 2, 6).
constexpr std::uint16_t tag_rqu_command = 0x00C1;

/// Ordinals (Part 2, 17).
constexpr std::uint32_t ord_oiap = 0x0000000A;
constexpr std::uint32_t ord_osap = 0x0000000B;
constexpr std::uint32_t ord_flush_specific = 0x000000BA;

/// What we add to a session. It proves nothing here, where nobody replays.
constexpr digest nonce_odd = {1};

constexpr std::uint8_t continue_session = 1;

constexpr auto header_size = protocol::tpm_header::encoded_size;

/// What ends a response to an authorized command: nonceEven, continue, HMAC.
constexpr std::size_t trailer_size
  = sizeof(digest) + sizeof(continue_session) + sizeof(digest);

digest to_digest(byte_view octets) {
  digest out;
  std::copy_n(octets.begin(), out.size(), out.begin());
  return out;
}

digest sha1(byte_view octets) {
  digest out;
  EVP_Digest(octets.data(), octets.size(), out.data(), nullptr, EVP_sha1(),
             nullptr);
  return out;
}

digest hmac(const digest& key, byte_view octets) {
  digest out;
  HMAC(EVP_sha1(), key.data(), static_cast<int>(key.size()), octets.data(),
       octets.size(), out.data(), nullptr);
  return out;
}

template <class Range>
void append(byte_vector& target, const Range& octets) {
  target.insert(target.end(), octets.begin(), octets.end());
}

struct opened {
  std::uint32_t handle;
  digest nonce_even;
  /// Zeros unless OSAP.
  digest nonce_even_osap;
};

result<opened> open(const transactor& run, byte_view command,
                    std::size_t nonces, const char* what) {
  constexpr std::size_t handle_size = 4;
  const auto response = run_or_fail(run, command, what);
  if (!response)
    return response.error();
  const auto body = part_of(*response, header_size,
                            handle_size + nonces * sizeof(digest), what);
  if (!body)
    return body.error();
  opened out{};
  out.handle = protocol::load_be<std::uint32_t>(body->data());
  out.nonce_even = to_digest(body->subspan(handle_size));
  if (nonces > 1)
    out.nonce_even_osap
      = to_digest(body->subspan(handle_size + sizeof(digest)));
  return out;
}

} // namespace

result<session> session::open_oiap(const transactor& run,
                                   const digest& secret) {
  const auto made
    = open(run, packet{tag_rqu_command, ord_oiap}.finish(), 1, "TPM_OIAP");
  if (!made)
    return made.error();
  return session{made->handle, secret, made->nonce_even};
}

result<session> session::open_osap(const transactor& run,
                                   std::uint16_t entity_type,
                                   std::uint32_t entity_value,
                                   const digest& secret) {
  auto command = packet{tag_rqu_command, ord_osap};
  command.put(entity_type).put(entity_value).put(nonce_odd);
  const auto made = open(run, command.finish(), 2, "TPM_OSAP");
  if (!made)
    return made.error();
  byte_vector nonces;
  append(nonces, made->nonce_even_osap);
  append(nonces, nonce_odd);
  return session{made->handle, hmac(secret, nonces), made->nonce_even};
}

byte_vector session::authorize(packet command, std::uint32_t code,
                               std::size_t handles) const {
  byte_vector covered(sizeof(code));
  protocol::store_be(covered.data(), code);
  append(covered, command.body().subspan(handles));
  byte_vector message;
  append(message, sha1(covered));
  append(message, nonce_even_);
  append(message, nonce_odd);
  message.push_back(continue_session);
  command.put(handle_).put(nonce_odd).put(continue_session);
  return command.put(hmac(key_, message)).finish();
}

result<unit> session::roll(byte_view response) {
  if (response.size() < header_size + trailer_size)
    return problem{"a response without authorization"};
  nonce_even_ = to_digest(response.last(trailer_size));
  return unit{};
}

byte_vector session::close() const {
  // TPM_RT_AUTH (Part 2, 4.1).
  constexpr std::uint32_t rt_auth = 2;
  return packet{tag_rqu_command, ord_flush_specific}
    .put(handle_)
    .put(rt_auth)
    .finish();
}

} // namespace vtpm::deploy::tpm12
