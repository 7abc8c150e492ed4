#include "tpm/initial_pcrs.hpp"

#include <cassert>
#include <string>
#include <utility>

#include "protocol/big_endian.hpp"
#include "protocol/tpm_header.hpp"

namespace vtpm::tpm {

namespace {

/// TPM_TAG_RQU_COMMAND, TPM_ORD_Extend (Part 2, 6 and 17).
constexpr std::uint16_t tag_1_2 = 0x00C1;
constexpr std::uint32_t extend_1_2 = 0x14;

/// TPM_ST_SESSIONS, TPM_CC_PCR_Extend, TPM_RS_PW, TPM_ALG_SHA1 and
/// TPM_ALG_SHA256 (2.0 Part 2, 6).
constexpr std::uint16_t tag_2_0 = 0x8002;
constexpr std::uint32_t extend_2_0 = 0x182;
constexpr std::uint32_t password = 0x40000009;
constexpr std::uint16_t alg_sha1 = 0x0004;
constexpr std::uint16_t alg_sha256 = 0x000B;

/// The registers of a dynamic launch, and the one locality that may extend
/// every one of them (PC Client Platform, 4.6.1).
constexpr auto first_dynamic = 17u;
constexpr auto last_dynamic = 22u;
constexpr std::uint8_t dynamic_locality = 2;

template <std::unsigned_integral T>
void append(byte_vector& target, T value) {
  target.resize(target.size() + sizeof value);
  protocol::store_be(target.data() + target.size() - sizeof value, value);
}

void append_digest(byte_vector& target, std::uint16_t algorithm,
                   const byte_vector& digest) {
  if (digest.empty())
    return;
  append(target, algorithm);
  const auto before = target.size();
  target.resize(before + digest.size());
  std::copy(digest.begin(), digest.end(), target.data() + before);
}

byte_vector finish(byte_vector packet) {
  protocol::store_be(packet.data() + 2,
                     static_cast<std::uint32_t>(packet.size()));
  return packet;
}

byte_vector request_1_2(const initial_pcr& value) {
  byte_vector packet;
  append(packet, tag_1_2);
  append(packet, std::uint32_t{0});
  append(packet, extend_1_2);
  append(packet, std::uint32_t{value.index});
  const auto before = packet.size();
  packet.resize(before + value.sha1.size());
  std::copy(value.sha1.begin(), value.sha1.end(), packet.data() + before);
  return finish(std::move(packet));
}

byte_vector request_2_0(const initial_pcr& value) {
  byte_vector packet;
  append(packet, tag_2_0);
  append(packet, std::uint32_t{0});
  append(packet, extend_2_0);
  append(packet, std::uint32_t{value.index});
  append(packet, std::uint32_t{4 + 2 + 1 + 2});
  append(packet, password);
  append(packet, std::uint16_t{0}); // nonce
  append(packet, std::uint8_t{0});  // session attributes
  append(packet, std::uint16_t{0}); // password
  const auto count
    = (value.sha1.empty() ? 0u : 1u) + (value.sha256.empty() ? 0u : 1u);
  append(packet, std::uint32_t{count});
  append_digest(packet, alg_sha1, value.sha1);
  append_digest(packet, alg_sha256, value.sha256);
  return finish(std::move(packet));
}

/// A TPM that has its values extended after each reset.
class initialised_engine final : public engine {
public:
  initialised_engine(std::unique_ptr<engine> tpm,
                     std::vector<initial_pcr> values)
    : tpm_(std::move(tpm)), values_(std::move(values)) {
    // nop
  }

  tpm_version version() const noexcept override {
    return tpm_->version();
  }

  execution execute(std::uint8_t locality, byte_view request) override {
    return tpm_->execute(locality, request);
  }

  result<snapshot_ptr> reset(startup how) override {
    auto changed = tpm_->reset(how);
    if (!changed)
      return changed;
    auto more = extend_all();
    if (!more)
      return more;
    return *more != nullptr ? more : changed;
  }

  result<snapshot_ptr> prepare_exit() override {
    return tpm_->prepare_exit();
  }

  snapshot_ptr current() const override {
    return tpm_->current();
  }

  result<secret_bytes> volatile_state() const override {
    return tpm_->volatile_state();
  }

  void cancel() noexcept override {
    tpm_->cancel();
  }

  /// Returns the state if that changed any.
  result<snapshot_ptr> extend_all() {
    auto changed = snapshot_ptr{};
    for (const auto& value : values_) {
      const auto request = extend_request(version(), value);
      if (request.empty())
        continue;
      const auto is_dynamic
        = value.index >= first_dynamic && value.index <= last_dynamic;
      auto done = tpm_->execute(is_dynamic ? dynamic_locality : std::uint8_t{0},
                                request);
      const auto header = protocol::tpm_header::decode_response(done.response);
      if (!header || header->code != protocol::tpm_success)
        return error{errc::engine,
                     "PCR " + std::to_string(value.index)
                       + " of the hardware TPM could not be "
                         "carried over"};
      if (done.changed != nullptr)
        changed = std::move(done.changed);
    }
    return changed;
  }

private:
  std::unique_ptr<engine> tpm_;
  std::vector<initial_pcr> values_;
};

} // namespace

byte_vector extend_request(tpm_version version, const initial_pcr& value) {
  if (version == tpm_version::v1_2)
    return value.sha1.empty() ? byte_vector{} : request_1_2(value);
  assert(version == tpm_version::v2_0);
  return value.sha1.empty() && value.sha256.empty() ? byte_vector{}
                                                    : request_2_0(value);
}

result<powered_engine> with_initial_pcrs(powered_engine powered,
                                         std::vector<initial_pcr> values,
                                         bool fresh) {
  auto wrapped = std::make_unique<initialised_engine>(
    std::move(powered.instance), std::move(values));
  if (fresh) {
    auto changed = wrapped->extend_all();
    if (!changed)
      return changed.error();
    if (*changed != nullptr)
      powered.changed = std::move(*changed);
  }
  powered.instance = std::move(wrapped);
  return powered;
}

} // namespace vtpm::tpm
