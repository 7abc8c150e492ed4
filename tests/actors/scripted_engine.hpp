#pragma once

#include <cassert>
#include <cstdint>
#include <memory>
#include <utility>

#include "protocol/big_endian.hpp"
#include "protocol/error_response.hpp"
#include "protocol/tpm_header.hpp"
#include "tpm/engine.hpp"

namespace vtpm::tests {

/// The commands that `scripted_engine` understands, by their 2.0 codes (TPM 2.0
/// Part 2, 6.5.2), so that the attribute tables say the right things of them.
enum class scripted : std::uint32_t {
  /// TPM2_NV_Increment: adds one to the counter, which is permanent.
  increment = 0x134,
  /// TPM2_NV_Read: reveals the counter.
  read = 0x14E,
  /// TPM2_PCR_Extend: adds one to what a reset loses.
  extend = 0x182,
  /// TPM2_Create: takes long, looks at the cancel flag.
  create = 0x153,
};

/// Returns a whole request.
inline byte_vector make_request(scripted code) {
  const auto wire
    = protocol::tpm_header{0x8001, protocol::tpm_header::encoded_size,
                           static_cast<std::uint32_t>(code)}
        .encode();
  return {wire.begin(), wire.end()};
}

/// Returns a response's result code.
inline std::uint32_t result_of(byte_view response) {
  return protocol::load_be<std::uint32_t>(response.data() + 6);
}

/// Returns the counter that a response reveals, or 0 when it is an error.
inline std::uint64_t counter_in(byte_view response) {
  return response.size() == 18
    ? protocol::load_be<std::uint64_t>(response.data() + 10)
    : 0;
}

/// What a test sees and controls; outlives the engine.
struct engine_script {
  std::uint64_t counter = 0;
  std::uint64_t extends = 0;
  std::uint64_t executed = 0;
  std::uint64_t resets = 0;
  std::uint64_t exits = 0;
  std::uint64_t cancels = 0;
  /// `reset` fails from now on.
  bool fail_resets = false;
  std::uint8_t last_locality = 0xFF;
  /// Set by `cancel`, consumed by the next `create` to end.
  bool cancelled = false;
};

/// A TPM whose permanent state is one counter, and whose volatile state
/// another.
class scripted_engine final : public tpm::engine {
public:
  explicit scripted_engine(std::shared_ptr<engine_script> script)
    : script_(std::move(script)) {
    // nop
  }

  tpm_version version() const noexcept override {
    return tpm_version::v2_0;
  }

  tpm::execution execute(std::uint8_t locality, byte_view request) override {
    assert(locality <= 4);
    ++script_->executed;
    script_->last_locality = locality;
    const auto code = protocol::load_be<std::uint32_t>(request.data() + 6);
    switch (static_cast<scripted>(code)) {
      case scripted::increment:
        ++script_->counter;
        return {answer(), current()};
      case scripted::extend:
        ++script_->extends;
        break;
      case scripted::create:
        if (std::exchange(script_->cancelled, false)) {
          const auto packet = protocol::error_response(
            tpm_version::v2_0, protocol::refusal::cancelled);
          return {{packet.begin(), packet.end()}, nullptr};
        }
        break;
      case scripted::read:
        break;
    }
    return {answer(), nullptr};
  }

  tpm::result<tpm::snapshot_ptr> reset(tpm::startup) override {
    ++script_->resets;
    if (script_->fail_resets)
      return tpm::error{tpm::errc::engine, "told to fail"};
    script_->extends = 0;
    return current();
  }

  tpm::result<tpm::snapshot_ptr> prepare_exit() override {
    ++script_->exits;
    return current();
  }

  tpm::snapshot_ptr current() const override {
    auto state = std::make_shared<tpm::snapshot>();
    state->permanent = tpm::secret_bytes(8);
    protocol::store_be(state->permanent.data(), script_->counter);
    return state;
  }

  tpm::result<tpm::secret_bytes> volatile_state() const override {
    auto octets = tpm::secret_bytes(8);
    protocol::store_be(octets.data(), script_->extends);
    return octets;
  }

  void cancel() noexcept override {
    ++script_->cancels;
    script_->cancelled = true;
  }

private:
  byte_vector answer() const {
    byte_vector response(18);
    auto target = response.data();
    target = protocol::store_be<std::uint16_t>(target, 0x8001);
    target = protocol::store_be<std::uint32_t>(target, 18);
    target = protocol::store_be<std::uint32_t>(target, 0);
    protocol::store_be(target, script_->counter);
    return response;
  }

  std::shared_ptr<engine_script> script_;
};

} // namespace vtpm::tests
