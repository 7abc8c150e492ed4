#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/locality_policy.hpp"
#include "tpm/engine.hpp"

// A TPM's reset follows its platform: the guest whose TPM it is. Device nodes
// do not say that a guest has booted; a new domid does.

namespace vtpm::actors {

/// Which frontend is the platform's own, the primary.
struct primary_rule {
  // A field without value matches any; one of them has a value.
  std::optional<std::uint32_t> handle;
  /// 36 characters, lower case.
  std::optional<std::string> uuid;
  /// A new domid does not reset the TPM.
  bool keep = false;

  /// Reads "uuid=UUID", "handle=N" or both, and perhaps
  /// "on-new-domid=reset|keep", in any order, each once. When `text` is not a
  /// rule, puts what is wrong with it into `problem`, in one line.
  static std::optional<primary_rule> parse(std::string_view text,
                                           std::string& problem);
};

/// What is remembered of the platform for as long as the TPM is powered on.
struct platform_memory {
  /// More are not needed: with two there is no primary without a rule.
  static constexpr std::size_t uuids_max = 2;

  /// Of frontends that were connected, in the order of their first coming.
  std::vector<std::string> uuids;
  /// Of the primary when it was connected last.
  std::optional<xenio::domid> primary_domain;
  /// The operator announced that the primary's next new domid is no boot.
  bool keep_next = false;

  friend bool operator==(const platform_memory&, const platform_memory&)
    = default;
};

/// What the coming of a frontend means.
enum class arrival : std::uint8_t {
  /// It is not the primary: never resets the TPM.
  peer,
  /// The primary, for the first time since the TPM was powered on.
  first,
  /// The primary under the same domid: kexec, resume, a module loaded again.
  again,
  /// The primary under a new domid, restored or migrated, as far as a rule or
  /// the operator says so.
  kept,
  /// The primary under a new domid: the guest has booted.
  rebooted,
};

/// Decides when the platform has booted. Without a rule a frontend is the
/// primary while its uuid is the only one there ever was; a frontend without
/// uuid, or with the nil one, is nobody's.
class platform {
public:
  platform() = default;

  platform(std::optional<primary_rule> rule, platform_memory memory)
    : rule_(std::move(rule)), memory_(std::move(memory)) {
    // nop
  }

  bool is_primary(const frontend_identity& who) const;

  /// Returns what it means that `who` wants to be connected now.
  arrival judge(const frontend_identity& who) const;

  /// Remembers that `who` is connected, or that the TPM was reset for it.
  /// Returns whether that changed the memory.
  bool admit(const frontend_identity& who);

  /// The primary's next new domid is no boot. Returns whether that changed the
  /// memory.
  bool keep_next();

  /// Returns the rule's text, or the uuid that is the primary's without one;
  /// empty when there is no primary.
  std::string describe() const;

  const platform_memory& memory() const noexcept {
    return memory_;
  }

private:
  std::optional<primary_rule> rule_;
  platform_memory memory_;
};

/// Returns the uuid in the form that rules are compared in; empty when `text`
/// is none.
std::string canonical_uuid(std::string_view text);

/// Returns what follows TPM_Init when the platform has booted: a state that was
/// saved before belongs to the guest that is gone.
tpm::startup startup_at_boot(tpm::startup configured) noexcept;

} // namespace vtpm::actors
