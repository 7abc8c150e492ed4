#pragma once

#include <optional>

#include "tpm/export_file.hpp"
#include "tpm/hardware/hardware_tpm.hpp"
#include "tpm/state_store.hpp"

// All that a store's owner must know and nobody else may: what a hardware TPM
// seals, and what a recovery file holds. sealed_key_format.md has the layouts.

namespace vtpm::tpm {

struct store_secret {
  local_key key;
  /// The counter that counts the store, if one does. It is sealed with the key:
  /// who could name another counter could make an old store pass.
  std::optional<nv_counter> counter;
};

/// Key, kind of counter or zero, its index, its authorization.
inline constexpr std::size_t store_secret_size = local_key::size + 1 + 4 + 32;
static_assert(store_secret_size == 69);
static_assert(store_secret_size <= sealed_secret_max);

/// Returns a secret with a fresh key, and a fresh authorization for `counter`.
store_secret make_store_secret(std::optional<counter_kind> counter,
                               std::uint32_t counter_index);

/// Returns `store_secret_size` octets.
secret_bytes encode_store_secret(const store_secret& secret);

/// Inverse of `encode_store_secret`; `errc::not_a_state` for what that does not
/// write.
result<store_secret> decode_store_secret(byte_view octets);

// -- recovery files -----------------------------------------------------------

/// Magic, format, kind, cost, zero, salt.
inline constexpr std::size_t recovery_header_size = 4 + 1 + 1 + 1 + 1 + 32;

inline constexpr std::size_t recovery_size
  = recovery_header_size + aes_256_gcm::tag_size + store_secret_size;

/// Returns the octets of a recovery file: it opens with `key` alone, on any
/// machine.
/// @param key What `derive_export_key` made for `lock`.
/// @pre Nothing else was sealed under this key.
result<byte_vector> seal_recovery(const store_secret& secret,
                                  const export_lock& lock, byte_view key);

/// Reads how a recovery file is locked; `errc::not_a_state` if it is none.
result<export_lock> read_recovery_lock(byte_view octets);

/// Opens a recovery file. `errc::wrong_key` if the key does not, or if anything
/// in the file was changed.
/// @pre `read_recovery_lock` took `octets`.
result<store_secret> open_recovery(byte_view octets, byte_view key);

} // namespace vtpm::tpm
