#pragma once

#include <array>
#include <cstdint>

#include "deploy/bench/packet.hpp"
#include "deploy/front/ring_client.hpp"
#include "deploy/result.hpp"
#include "protocol/bytes.hpp"

namespace vtpm::deploy::tpm12 {

/// A SHA-1 digest, an authorization value or a nonce.
using digest = std::array<std::uint8_t, 20>;

/// An authorization session, OIAP or OSAP (TPM Main Part 1, 13).
class session {
public:
  /// Opens a session for any entity; `secret` is the entity's authorization.
  static result<session> open_oiap(const transactor& run, const digest& secret);

  /// Opens a session for one entity.
  /// @param entity_type TPM_ENTITY_TYPE (Part 2, 4.3).
  static result<session> open_osap(const transactor& run,
                                   std::uint16_t entity_type,
                                   std::uint32_t entity_value,
                                   const digest& secret);

  /// Authorizes a command, of tag TPM_TAG_RQU_AUTH1_COMMAND, with all its
  /// parameters in it. The session stays open, unless the command sets a
  /// secret: then the TPM closes it (Part 1, 13.4).
  /// @param code The command's ordinal.
  /// @param handles How many octets of handles lead the body; the
  ///                authorization does not cover them.
  byte_vector authorize(packet command, std::uint32_t code,
                        std::size_t handles) const;

  /// Takes the next nonce out of the response to an authorized command. Without
  /// that the session is of no use any more.
  result<unit> roll(byte_view response);

  /// Returns the command that closes the session; a TPM has room for few.
  byte_vector close() const;

private:
  session(std::uint32_t handle, const digest& key, const digest& nonce) noexcept
    : handle_(handle), key_(key), nonce_even_(nonce) {
    // nop
  }

  std::uint32_t handle_;
  /// What the authorizations are keyed with.
  digest key_;
  /// The TPM's last nonce.
  digest nonce_even_;
};

} // namespace vtpm::deploy::tpm12
