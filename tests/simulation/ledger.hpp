#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/simulation/commands.hpp"

// What the guests know. For each guest the ledger keeps every state that fits
// all that was acknowledged: normally one, two while a command is under way or
// its outcome is unknown. What the TPM reveals has to be among them, and rules
// out the others.

namespace vtpm::simulation {

/// The promise is broken.
struct broken_promise : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class ledger {
public:
  /// What the TPM holds at the beginning.
  ledger(tpm_version version, const std::vector<guest_state>& known);

  /// A guest has put `asked` into its page.
  void submitted(unsigned guest, const command& asked);

  /// The guest found `response` in its page.
  /// @param may_fail The TPM may have failed stop in this life.
  void answered(unsigned guest, byte_view response, bool may_fail);

  /// The guest found IDLE: its command had no effect.
  void cancelled(unsigned guest);

  /// Nobody will hear of the guest's command, which may have happened.
  void abandoned(unsigned guest);

  /// The TPM was reset while no command was under way.
  void reset_pcrs();

  /// A TPM was switched on and read.
  /// @param kept_volatile PCRs have to be as they were.
  void reopened(const std::vector<guest_state>& found, bool kept_volatile);

  /// The process that ran the guest's command is gone and its successor finds
  /// the request in the page.
  /// @param exactly_once It knows what was done already; else it runs it again.
  void taken_again(unsigned guest, bool exactly_once);

  bool is_waiting(unsigned guest) const noexcept {
    return guests_[guest].asked.has_value();
  }

  /// Commands of the guest have failed so often that more of them, each of
  /// which may have happened, would only double what is possible.
  bool is_in_doubt(unsigned guest) const noexcept {
    return guests_[guest].possible.size() > possible_max;
  }

  /// Returns the number to write next: more than any before.
  std::uint64_t next_number(unsigned guest) noexcept {
    return ++guests_[guest].numbers;
  }

  std::uint64_t answers() const noexcept {
    return answers_;
  }

private:
  static constexpr std::size_t possible_max = 64;

  struct possibility {
    guest_state state;
    /// The command under way has happened.
    bool done;

    friend bool operator==(const possibility&, const possibility&) = default;
  };

  struct record {
    std::vector<possibility> possible;
    std::optional<command> asked;
    /// The least that a read under way may return.
    std::uint64_t at_least = 0;
    std::uint64_t numbers = 0;
  };

  /// Adds what is possible because the command under way may have happened.
  void fork(record& of);

  template <class F>
  void keep(unsigned guest, const std::string& what, F wanted);

  /// The command under way is over, whether it happened or not.
  void forget(record& of);

  void revealed(unsigned guest, byte_view response);

  tpm_version version_;
  std::vector<record> guests_;
  std::uint64_t answers_ = 0;
};

} // namespace vtpm::simulation
