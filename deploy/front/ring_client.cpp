#include "deploy/front/ring_client.hpp"

#include "protocol/big_endian.hpp"
#include "protocol/error_response.hpp"
#include "protocol/log.hpp"

namespace vtpm::deploy {

namespace {

/// TPM_ST_NO_SESSIONS and TPM_ST_SESSIONS (2.0 Part 2, 6.9).
constexpr auto st_no_sessions = std::uint16_t{0x8001};
constexpr auto st_sessions = std::uint16_t{0x8002};

} // namespace

transactor make_transactor(xenio::frontend& ring, std::uint8_t locality,
                           std::chrono::milliseconds limit) {
  return [&ring, locality, limit](byte_view command) -> result<byte_vector> {
    auto response = ring.transact(locality, command, limit);
    if (response)
      return std::move(*response);
    const auto& why = response.error();
    if (why.code != xenio::errc::timed_out)
      return problem{"the ring failed: " + why.detail};
    log().warn("a command was cancelled: no response within {} s",
               std::chrono::duration_cast<std::chrono::seconds>(limit).count());
    const auto refusal = protocol::error_response(version_of(command),
                                                  protocol::refusal::failure);
    return byte_vector{refusal.begin(), refusal.end()};
  };
}

tpm_version version_of(byte_view command) noexcept {
  if (command.size() < sizeof(std::uint16_t))
    return tpm_version::v1_2;
  const auto tag = protocol::load_be<std::uint16_t>(command.data());
  return tag == st_no_sessions || tag == st_sessions ? tpm_version::v2_0
                                                     : tpm_version::v1_2;
}

} // namespace vtpm::deploy
