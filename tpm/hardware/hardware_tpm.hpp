#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "protocol/bytes.hpp"
#include "tpm/counter_rule.hpp"
#include "tpm/crypto/secret.hpp"
#include "tpm/errc.hpp"
#include "tpm/hardware/pcr_selection.hpp"

// The TPM of the machine, as the TPM Manager uses it: never as a TPM, only for
// what it can do that a disk cannot. Its implementation is `esys_tpm`.

namespace vtpm::tpm {

/// An object that only the TPM which made it can open.
struct sealed_object {
  /// TPM2B_PUBLIC and TPM2B_PRIVATE, as the TPM has marshalled them.
  byte_vector public_part;
  byte_vector private_part;
};

/// Under what conditions the TPM opens a sealed object.
struct seal_policy {
  /// Which registers count.
  pcr_selection pcrs;
  /// Empty: while the registers are as they were when it was sealed. Else an
  /// administrator's public key, PEM: while the registers are as this key has
  /// approved, before or after it was sealed.
  std::string approver;
};

/// An administrator's word that some values of the registers are good.
struct pcr_approval {
  /// What TPM2_PolicyPCR makes of these values, see `pcr_policy`; 32 octets.
  byte_vector policy;
  /// By the approver's key over `policy`, SHA-256; as OpenSSL writes it: of an
  /// RSA key PKCS #1 v1.5, of a P-256 key ECDSA in DER.
  byte_vector signature;
};

/// A counter in the TPM's NV memory that never goes down, not even if it is
/// removed and made again.
struct nv_counter {
  /// TPM_HANDLE of the index, 01xxxxxx.
  std::uint32_t index;
  counter_kind kind;
  /// The index' authorization value. Answers of the TPM are checked with it,
  /// too, so that nobody else can give them.
  secret_bytes auth;
};

/// What the TPM says of itself.
struct hardware_status {
  /// TPM_PT_MANUFACTURER and TPM_PT_FIRMWARE_VERSION_1, in the usual form.
  std::string manufacturer;
  std::string firmware;
  /// Banks that have all the registers from 0 to 23.
  std::vector<pcr_bank> banks;
  /// How often it was reset, and whether in good order the last time.
  std::uint32_t resets = 0;
  bool orderly = false;
};

/// The longest secret that is sealed: MAX_SYM_DATA of TPM 2.0 Part 2.
inline constexpr std::size_t sealed_secret_max = 128;

/// A TPM 2.0. Every call blocks for as long as the TPM takes, and for calls of
/// other threads before it; whatever a call needs inside the TPM is gone when
/// it returns. What fails is `errc::hardware`, unless said otherwise, with a
/// sentence that says what to do.
class hardware_tpm {
public:
  virtual ~hardware_tpm();

  virtual result<hardware_status> status() = 0;

  // -- registers --------------------------------------------------------------

  /// Returns a register, 20 octets of bank SHA-1, 32 of SHA-256 and so on.
  /// `errc::not_found` if the TPM does not have this bank.
  /// @pre `index` is below `pcr_count`
  virtual result<byte_vector> read_pcr(pcr_bank bank, unsigned index) = 0;

  /// Extends a register.
  /// @pre `index` is below `pcr_count`; `digest` has the bank's size.
  virtual result<unit> extend_pcr(pcr_bank bank, unsigned index,
                                  byte_view digest)
    = 0;

  /// Returns what TPM2_PolicyPCR makes of the registers as they are, 32 octets:
  /// what an administrator signs to approve them.
  virtual result<byte_vector> pcr_policy(const pcr_selection& pcrs) = 0;

  /// The same of values that they may have one day.
  /// @param values Of the registers selected, in ascending order, one after the
  ///               other.
  virtual result<byte_vector> pcr_policy(const pcr_selection& pcrs,
                                         byte_view values)
    = 0;

  // -- entropy ----------------------------------------------------------------

  /// Fills `target` from the TPM's generator.
  virtual result<unit> random(std::span<std::uint8_t> target) = 0;

  // -- sealing ----------------------------------------------------------------

  /// Seals `secret`, of 1 to `sealed_secret_max` octets.
  virtual result<sealed_object> seal(byte_view secret,
                                     const seal_policy& policy)
    = 0;

  /// Opens what was sealed under `policy`. `errc::policy` if the registers are
  /// not as they have to be, or not approved; `errc::wrong_key` if it was
  /// sealed by another TPM or was changed.
  /// @param approvals What there is of the approver's word; those that are not
  ///                  about the registers as they are do no harm.
  virtual result<secret_bytes> unseal(const sealed_object& sealed,
                                      const seal_policy& policy,
                                      std::span<const pcr_approval> approvals)
    = 0;

  // -- counters ---------------------------------------------------------------

  /// Makes a counter, and counts once: it has a value from then on.
  /// `errc::exists` if there is something at its index.
  virtual result<counter_reading> define_counter(const nv_counter& counter) = 0;

  /// `errc::not_found` if there is none, or one of the other kind.
  virtual result<counter_reading> read_counter(const nv_counter& counter) = 0;

  /// Counts once and returns what the counter is then. After an error nobody
  /// knows whether it has counted: read it.
  virtual result<counter_reading> increment_counter(const nv_counter& counter)
    = 0;

  /// Removes a counter. A later one at the same index starts above it.
  virtual result<unit> remove_counter(const nv_counter& counter) = 0;
};

} // namespace vtpm::tpm
