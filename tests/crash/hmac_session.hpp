#pragma once

#include <cstdint>
#include <functional>

#include "protocol/bytes.hpp"

namespace vtpm::crash {

/// Runs one command of a TPM 2.0 and returns its response, which was a success.
/// Throws what ends the client.
using runner = std::function<byte_vector(byte_view)>;

/// A counter of its own and an HMAC session (TPM 2.0 Part 1, 19.6), unbound and
/// unsalted, that authorizes its increments. Each side proves that it knows the
/// counter's secret and the other's last nonce: a command that ran twice, or
/// not at all, or a session that went back by one, does not go unnoticed.
class hmac_session {
public:
  /// Makes the counter, and increments it once.
  /// @param number Tells it from others'.
  hmac_session(const runner& run, unsigned number);

  /// Opens the session.
  void open();

  /// Increments once; throws unless the response proves it.
  void increment();

  /// Returns the counter.
  std::uint64_t read();

private:
  byte_vector name() const;

  runner run_;
  std::uint32_t index_;
  std::uint32_t handle_ = 0;
  byte_vector nonce_tpm_;
  /// Different for each command.
  std::uint64_t nonces_ = 0;
};

} // namespace vtpm::crash
