#pragma once

#include <concepts>
#include <cstdint>

#include "deploy/front/ring_client.hpp"
#include "deploy/result.hpp"
#include "protocol/big_endian.hpp"
#include "protocol/bytes.hpp"

namespace vtpm::deploy {

/// A TPM command in the making, 1.2 or 2.0.
class packet {
public:
  /// Starts with a header (protocol/tpm_header.hpp); `finish` fills in its
  /// size.
  packet(std::uint16_t tag, std::uint32_t code);

  /// Appends a big-endian integer.
  template <std::unsigned_integral T>
  packet& put(T value) {
    const auto end = octets_.size();
    octets_.resize(end + sizeof(T));
    protocol::store_be(octets_.data() + end, value);
    return *this;
  }

  /// Appends octets.
  packet& put(byte_view octets);

  /// Appends a 16-bit size and the octets: a TPM2B of 2.0.
  packet& put_sized(byte_view octets);

  /// Appends `count` zeros.
  packet& zeros(std::size_t count);

  /// Returns what was appended behind the header so far.
  byte_view body() const noexcept;

  /// Returns the command.
  byte_vector finish();

private:
  byte_vector octets_;
};

/// Returns the `count` octets at `offset` of a response, or a problem that
/// names `what`.
result<byte_view> part_of(byte_view response, std::size_t offset,
                          std::size_t count, const char* what);

/// Returns a problem that names `what` unless `response` reports success.
result<unit> expect_success(byte_view response, const char* what);

/// Runs a command that has to succeed and returns its response.
result<byte_vector> run_or_fail(const transactor& run, byte_view command,
                                const char* what);

} // namespace vtpm::deploy
