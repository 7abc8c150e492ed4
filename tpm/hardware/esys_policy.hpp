#pragma once

#include <optional>
#include <span>

#include "tpm/hardware/esys_link.hpp"

// Policies in the TPM: what they come to, and sessions that satisfy them.

namespace vtpm::tpm {

/// Returns what TPM2_PolicyPCR comes to: for `values` of the registers, or for
/// those that they have.
result<byte_vector> pcr_policy_digest(esys_link& link,
                                      const pcr_selection& pcrs,
                                      std::optional<byte_view> values);

/// Returns the policy of an object that opens under `policy`.
result<byte_vector> sealing_policy_digest(esys_link& link,
                                          const seal_policy& policy);

/// Starts a session that opens such an object, if the registers are right; for
/// a policy of an approver `errc::policy` if they are not approved.
result<esys_object> start_policy_session(
  esys_link& link, const seal_policy& policy,
  std::span<const pcr_approval> approvals);

/// Refuses registers of a bank that is not there: they would bind nothing.
result<unit> check_bank(esys_link& link, const pcr_selection& pcrs);

/// Returns the banks that have all registers.
result<std::vector<pcr_bank>> complete_banks(esys_link& link);

} // namespace vtpm::tpm
