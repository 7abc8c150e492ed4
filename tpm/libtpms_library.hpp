#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "protocol/bytes.hpp"
#include "protocol/version.hpp"
#include "tpm/crypto/ec_method.hpp"
#include "tpm/crypto/rsa_method.hpp"
#include "tpm/crypto/secret.hpp"
#include "tpm/errc.hpp"
#include "tpm/snapshot.hpp"

// The C library behind the engine, made safe to hold. For tpm/libtpms_*.cpp
// only; everyone else holds an `engine`.

namespace vtpm::tpm {

/// The one TPM of this process, switched on and off. libtpms keeps the TPM, its
/// callbacks and its buffer size in globals, so one object holds them all.
class libtpms_library {
public:
  /// Takes the library for a TPM of `version`, switched off and blank.
  /// Refuses with `errc::engine` while another object holds it.
  static result<std::unique_ptr<libtpms_library>> claim(tpm_version version);

  /// Switches the TPM off and gives the library back.
  ~libtpms_library();

  libtpms_library(const libtpms_library&) = delete;
  libtpms_library& operator=(const libtpms_library&) = delete;

  tpm_version version() const noexcept {
    return version_;
  }

  /// Sets what the TPM sees on its physical presence pin (1.2 only).
  void physical_presence(bool asserted) noexcept {
    physical_presence_ = asserted;
  }

  /// Replaces what the TPM finds at its next `power_on`.
  /// @param volatile_state What `volatile_state` returned once, of a TPM whose
  ///                       state `state` was then: the TPM goes on from there.
  ///                       Empty: it starts anew.
  /// @pre The TPM is off.
  void insert(snapshot_ptr state, secret_bytes volatile_state = {}) noexcept;

  /// TPM_Init. A blank TPM manufactures itself. On error the TPM stays off.
  /// @pre The TPM is off.
  result<unit> power_on();

  /// Cuts the power: what is not in `current` is lost.
  void power_off() noexcept;

  bool powered() const noexcept {
    return powered_;
  }

  /// Runs one command, at a locality of 0..4. Returns the response, in a buffer
  /// that the next command overwrites, or nothing where the TPM is off, the
  /// library fails, or the response is not one whole packet of at most
  /// `protocol::packet_size_max` octets.
  byte_view process(std::uint8_t locality, byte_view request);

  /// Ends a `process` that is under way early. Safe from any thread; never
  /// reaches a later command.
  void cancel() noexcept;

  /// Returns the newest permanent state and savestate.
  const snapshot_ptr& current() const noexcept {
    return current_;
  }

  /// Returns the newest state if any was stored or deleted since the last call,
  /// else null.
  snapshot_ptr take_change() noexcept;

  /// Keeps `count` RSA keys ready, made while the machine is idle, for commands
  /// that make some.
  /// @pre `count` is not zero, and this has not been called before.
  void start_key_pool(std::size_t count) {
    rsa_->start_pool(count, pool_pace::background);
  }

  /// Returns everything a power cycle loses.
  result<secret_bytes> volatile_state() const;

private:
  struct callbacks;

  explicit libtpms_library(tpm_version version);

  /// Sends what the library prints to nowhere. In failure mode it would dump
  /// the guest's command, secrets included, on standard error.
  result<unit> silence();

  void begin_command();
  void end_command();

  /// Has the library run `request_`. Returns the size of the response, or zero
  /// where the library failed.
  std::uint32_t call();

  /// TPM_Init. Returns the library's code.
  std::uint32_t initialize();

  const tpm_version version_;
  int sink_ = -1;
  bool powered_ = false;
  bool physical_presence_ = false;
  bool changed_ = false;
  std::uint8_t locality_ = 0;
  snapshot_ptr current_;
  /// What the next `power_on` goes on from.
  secret_bytes volatile_;
  /// The library decrypts parameters where it finds them, so it gets a copy.
  secret_bytes request_;
  /// The library's, allocated by it.
  std::uint8_t* response_ = nullptr;
  std::uint32_t response_capacity_ = 0;
  /// Guards `running_`, and with it `cancelled_` and the library's own flag.
  std::mutex running_mutex_;
  bool running_ = false;
  /// The command that runs, or ran last, has been cancelled.
  std::atomic<bool> cancelled_ = false;
  /// How OpenSSL computes for the library; null until the library is ours.
  std::unique_ptr<rsa_method> rsa_;
  std::unique_ptr<ec_method> ec_;
};

} // namespace vtpm::tpm
