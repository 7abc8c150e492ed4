#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/crash/hmac_session.hpp"
#include "tests/simulation/commands.hpp"
#include "xenio/frontend.hpp"

namespace vtpm::crash {

/// What one client did.
struct client_report {
  std::uint64_t answers = 0;
  std::uint64_t increments = 0;
  std::uint64_t extends = 0;
  std::uint64_t authorized = 0;
  /// Reads that agreed with what was acknowledged.
  std::uint64_t comparisons = 0;
  /// What went wrong, in one sentence; empty if nothing did.
  std::string problem;
};

/// One guest over a loopback ring, with a counter and a PCR of its own, which
/// it compares with what it was told. Runs on a thread of its own.
///
/// With a shadow everything has to be exact, and the HMAC sessions that the
/// first three have outlive every kill. Without one a kill resets the TPM, so
/// PCRs begin anew, and a command that was under way may run once more for each
/// kill, or lose its response.
class client {
public:
  /// @param kills How often vtpmd was killed so far, counted when it is gone.
  client(const std::string& socket_path, unsigned number, std::uint64_t seed,
         bool has_shadow, const std::atomic<std::uint64_t>& kills);

  /// Goes on until `stop`, or until something is wrong.
  void run(const std::atomic<bool>& stop);

  /// Compares everything once more.
  void compare_all();

  /// `run` has returned. To be asked from any thread.
  bool has_ended() const noexcept {
    return has_ended_;
  }

  /// Not while `run` is under way.
  const client_report& report() const noexcept {
    return report_;
  }

private:
  /// An extend that was acknowledged.
  struct extension {
    std::uint64_t value;
    /// Kills before it was submitted.
    std::uint64_t kills;
  };

  byte_vector run_command(byte_view request);
  byte_vector ask(simulation::deed what, std::uint64_t value = 0);
  void try_one_thing();
  void do_one_thing();
  void increment();
  void compare_counter();
  void compare_pcr();
  void compare_session();

  unsigned number_;
  std::mt19937_64 random_;
  bool has_shadow_;
  const std::atomic<std::uint64_t>& kills_;
  std::unique_ptr<xenio::frontend> ring_;
  client_report report_;
  std::atomic<bool> has_ended_ = false;

  std::uint64_t counter_ = 0;
  /// By how much the counter may be above that.
  std::uint64_t surplus_ = 0;
  std::vector<extension> extensions_;
  /// What `extensions_` were extended to.
  simulation::guest_state before_;
  std::optional<hmac_session> session_;
  std::uint64_t session_counter_ = 0;
};

} // namespace vtpm::crash
