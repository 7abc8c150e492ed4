#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>

#include "protocol/bytes.hpp"
#include "protocol/manager.hpp"
#include "tpm/crypto/secret.hpp"
#include "tpm/errc.hpp"
#include "tpm/state_store.hpp"

// What the TPM Manager keeps: one record for each vTPM of a host. It is the
// permanent state in the manager's slots; record_format.md has the octets.

namespace vtpm::tpm {

/// What is kept for one vTPM.
struct kept_record {
  /// `protocol::manager::record_size` octets; all zeros: it has none yet.
  secret_bytes octets = secret_bytes(protocol::manager::record_size);
  /// It may not be opened.
  bool disabled = false;
  /// How often the record was replaced.
  std::uint64_t replacements = 0;

  /// Returns whether it has been given a record.
  bool is_recorded() const noexcept;
};

/// Every vTPM by its uuid.
using record_table = std::map<uuid, kept_record>;

/// More vTPMs than a host runs; with all of them a commit writes 93 KiB.
inline constexpr std::size_t records_max = 1024;

/// Returns the table's octets.
/// @pre There are no more than `records_max`.
secret_bytes encode_records(const record_table& table);

/// Reads a table. Inverse of `encode_records`; `errc::not_a_state` for what
/// that does not write.
result<record_table> decode_records(byte_view octets);

} // namespace vtpm::tpm
