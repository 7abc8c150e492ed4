#pragma once

#include <array>
#include <cstdint>

#include "protocol/bytes.hpp"
#include "protocol/version.hpp"
#include "tpm/crypto/aes_gcm.hpp"
#include "tpm/crypto/secret.hpp"
#include "tpm/state_store.hpp"

// One TPM in one encrypted file, to keep or to carry elsewhere:
// export_format.md has the layout, an example and the reasons.

namespace vtpm::tpm {

/// What opens an export. On the disk: do not change the values.
enum class export_lock_kind : std::uint8_t {
  passphrase = 1,
  /// 32 random octets, as `create_local_key` makes them.
  key_file = 2,
};

/// How the key of one export is made of a secret. Stands in the file.
struct export_lock {
  export_lock_kind kind = export_lock_kind::key_file;
  /// log2 of scrypt's N; zero where there is no passphrase.
  std::uint8_t cost = 0;
  std::array<std::uint8_t, 32> salt{};
};

/// scrypt's cost for new exports: 128 MiB and about half a second.
inline constexpr std::uint8_t export_cost = 17;

/// Costs that are read. Less would be a weak file, more a file that makes us
/// spend gigabytes: neither is one of ours.
inline constexpr std::uint8_t export_cost_min = 15;
inline constexpr std::uint8_t export_cost_max = 18;
static_assert(export_cost_min <= export_cost && export_cost <= export_cost_max);

/// Magic, format, version, kind, cost, salt, uuid, generation, length.
inline constexpr std::size_t export_header_size
  = 4 + 1 + 1 + 1 + 1 + 32 + 16 + 8 + 4;
static_assert(export_header_size == 68);

/// The longest export: what fits into a slot has 227 KiB at most, and the
/// volatile state less than a shadow has room for, which is 64 KiB.
inline constexpr std::size_t export_size_max = 512 * 1024;
static_assert(export_size_max > slot_size + 64 * 1024);

/// No TPM counts so far; one that is imported counts on from there.
inline constexpr generation export_generation_max = generation{1} << 62;

/// One TPM at one generation.
struct export_content {
  tpm_version version{};
  uuid id{};
  generation gen = 0;
  snapshot state;
  /// What `engine::volatile_state` returned when `state` was the newest; empty
  /// if the export is of a TPM that is off.
  secret_bytes volatile_state;
};

/// Returns a lock with a fresh salt: its key seals one export.
export_lock make_export_lock(export_lock_kind kind) noexcept;

/// Returns whether a key may be made like this: neither weak nor costly beyond
/// reason.
bool is_plausible(const export_lock& lock) noexcept;

/// Makes the key that seals and opens one export.
/// @param secret The passphrase, or the key file's octets.
result<secret_bytes> derive_export_key(const export_lock& lock,
                                       byte_view secret);

/// Returns the octets of an export.
/// @param key What `derive_export_key` made for `lock`.
/// @pre No other export was sealed under this key.
result<byte_vector> seal_export(const export_content& content,
                                const export_lock& lock, byte_view key);

/// Reads how an export is locked. `errc::not_a_state` is no export or one of a
/// later version, `errc::damage` one that was cut short or grew.
result<export_lock> read_export_lock(byte_view octets);

/// Opens an export. `errc::wrong_key` if the key does not, or if anything in
/// the file was changed.
/// @pre `read_export_lock` took `octets`.
result<export_content> open_export(byte_view octets, byte_view key);

} // namespace vtpm::tpm
