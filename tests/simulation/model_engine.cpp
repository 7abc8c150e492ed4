#include "tests/simulation/model_engine.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <utility>

#include <openssl/sha.h>

#include "protocol/big_endian.hpp"
#include "protocol/error_response.hpp"
#include "protocol/tpm_header.hpp"

namespace vtpm::simulation {

namespace {

using protocol::load_be;
using protocol::store_be;
using protocol::tpm_header;

/// TPM_CC (2.0 Part 2, 6.5.2) and TPM_RC (6.6.3).
constexpr std::uint32_t cc_create_primary = 0x131;
constexpr std::uint32_t cc_nv_increment = 0x134;
constexpr std::uint32_t cc_nv_write = 0x137;
constexpr std::uint32_t cc_nv_read = 0x14E;
constexpr std::uint32_t cc_pcr_read = 0x17E;
constexpr std::uint32_t cc_pcr_extend = 0x182;
constexpr std::uint32_t rc_command_code = 0x143;
constexpr std::uint32_t rc_value = 0x84;

constexpr std::uint16_t st_no_sessions = 0x8001;

/// Where the parameters of a command with two handles, or with one, and a
/// password session begin.
constexpr std::size_t session_size = 4 + 9;
constexpr std::size_t after_two_handles = tpm_header::encoded_size + 8;
constexpr std::size_t after_one_handle = tpm_header::encoded_size + 4;

/// What a power cycle leaves.
struct permanent_state {
  std::array<std::uint64_t, guests_max> counters{};
  std::array<std::uint64_t, guests_max> numbers{};
  std::uint64_t disorderly_starts = 0;
  std::uint64_t orderly = 1;
};

constexpr std::size_t permanent_size = 8 * (2 * guests_max + 2);
constexpr std::size_t volatile_size = guests_max * sizeof(pcr_value);

/// Calls `f` with every number of the state, in the order of the blob.
template <class State, class F>
void for_each_number(State& state, F f) {
  for (auto& each : state.counters)
    f(each);
  for (auto& each : state.numbers)
    f(each);
  f(state.disorderly_starts);
  f(state.orderly);
}

tpm::snapshot_ptr encode_permanent(const permanent_state& state) {
  auto out = std::make_shared<tpm::snapshot>();
  out->permanent.resize(permanent_size);
  auto* at = out->permanent.data();
  for_each_number(state,
                  [&at](std::uint64_t value) { at = store_be(at, value); });
  return out;
}

class model_engine final : public tpm::engine {
public:
  model_engine(permanent_state kept, std::array<pcr_value, guests_max> pcrs)
    : kept_(kept), pcrs_(pcrs) {
    // nop
  }

  tpm_version version() const noexcept override {
    return tpm_version::v2_0;
  }

  tpm::execution execute([[maybe_unused]] std::uint8_t locality,
                         byte_view request) override {
    assert(locality <= 4);
    switch (load_be<std::uint32_t>(request.data() + 6)) {
      case cc_nv_increment:
        return increment(request);
      case cc_nv_write:
        return write(request);
      case cc_nv_read:
        return read(request);
      case cc_pcr_extend:
        return extend(request);
      case cc_pcr_read:
        return read_pcr(request);
      case cc_create_primary:
        return create();
      default:
        return {answer(rc_command_code, {}), nullptr};
    }
  }

  tpm::result<tpm::snapshot_ptr> reset(tpm::startup) override {
    kept_.orderly = 1;
    pcrs_ = {};
    return current();
  }

  tpm::result<tpm::snapshot_ptr> prepare_exit() override {
    if (std::exchange(kept_.orderly, 1) == 1)
      return tpm::snapshot_ptr{};
    return current();
  }

  tpm::snapshot_ptr current() const override {
    return encode_permanent(kept_);
  }

  tpm::result<tpm::secret_bytes> volatile_state() const override {
    auto out = tpm::secret_bytes(volatile_size);
    auto* at = out.data();
    for (const auto& pcr : pcrs_)
      at = std::copy(pcr.begin(), pcr.end(), at);
    return out;
  }

  void cancel() noexcept override {
    cancelled_ = true;
  }

private:
  static byte_vector answer(std::uint32_t code, byte_view body) {
    byte_vector out(tpm_header::encoded_size + body.size());
    auto* at = store_be<std::uint16_t>(out.data(), st_no_sessions);
    at = store_be(at, static_cast<std::uint32_t>(out.size()));
    at = store_be(at, code);
    std::copy(body.begin(), body.end(), at);
    return out;
  }

  /// Returns the index that the low octet of the handle at `offset` names.
  static std::size_t index_at(byte_view request, std::size_t offset) {
    return request.size() < offset + 4 ? guests_max : request[offset + 3];
  }

  tpm::execution increment(byte_view request) {
    const auto index = index_at(request, after_one_handle);
    if (index >= guests_max)
      return {answer(rc_value, {}), nullptr};
    ++kept_.counters[index];
    return {answer(0, {}), current()};
  }

  tpm::execution write(byte_view request) {
    const auto index = index_at(request, after_one_handle);
    const auto offset = after_two_handles + session_size + 2;
    if (index >= guests_max || request.size() < offset + 8)
      return {answer(rc_value, {}), nullptr};
    kept_.numbers[index] = load_be<std::uint64_t>(request.data() + offset);
    return {answer(0, {}), current()};
  }

  tpm::execution read(byte_view request) {
    const auto index = index_at(request, after_one_handle);
    if (index >= guests_max)
      return {answer(rc_value, {}), nullptr};
    // The handle's last but one octet tells counters from numbers.
    const auto is_counter = request[after_one_handle + 2] == 1;
    auto body = std::array<std::uint8_t, 4 + 2 + 8>{};
    store_be(body.data() + 6,
             is_counter ? kept_.counters[index] : kept_.numbers[index]);
    return {answer(0, body), nullptr};
  }

  tpm::execution extend(byte_view request) {
    const auto index = index_at(request, tpm_header::encoded_size);
    const auto offset = after_one_handle + session_size + 4 + 2;
    if (index >= guests_max || request.size() < offset + sizeof(pcr_value))
      return {answer(rc_value, {}), nullptr};
    auto input = std::array<std::uint8_t, 2 * sizeof(pcr_value)>{};
    std::copy(pcrs_[index].begin(), pcrs_[index].end(), input.begin());
    std::copy_n(request.data() + offset, sizeof(pcr_value),
                input.begin() + sizeof(pcr_value));
    SHA256(input.data(), input.size(), pcrs_[index].data());
    const auto was_orderly = std::exchange(kept_.orderly, 0) == 1;
    return {answer(0, {}), was_orderly ? current() : nullptr};
  }

  tpm::execution read_pcr(byte_view request) {
    // The first octet of the selection is the only one that selects.
    const auto offset = tpm_header::encoded_size + 4 + 2 + 1;
    auto index = std::size_t{guests_max};
    if (request.size() > offset)
      for (index = 0; index < guests_max; ++index)
        if (request[offset] == 1u << index)
          break;
    if (index == guests_max)
      return {answer(rc_value, {}), nullptr};
    auto body = std::array<std::uint8_t, 4 + 10 + 4 + 2 + sizeof(pcr_value)>{};
    std::copy(pcrs_[index].begin(), pcrs_[index].end(), body.begin() + 20);
    return {answer(0, body), nullptr};
  }

  tpm::execution create() {
    const auto packet = protocol::error_response(tpm_version::v2_0,
                                                 protocol::refusal::cancelled);
    if (cancelled_.exchange(false))
      return {{packet.begin(), packet.end()}, nullptr};
    return {answer(0, {}), nullptr};
  }

  permanent_state kept_;
  std::array<pcr_value, guests_max> pcrs_;
  std::atomic<bool> cancelled_ = false;
};

} // namespace

tpm::snapshot_ptr new_model() {
  return encode_permanent({});
}

tpm::result<tpm::powered_engine> power_on_model(tpm::snapshot_ptr state,
                                                byte_view volatile_blob) {
  if (state->permanent.size() != permanent_size
      || (!volatile_blob.empty() && volatile_blob.size() != volatile_size))
    return tpm::error{tpm::errc::engine, "not the state of a model TPM"};
  auto kept = permanent_state{};
  const auto* at = state->permanent.data();
  for_each_number(kept, [&at](std::uint64_t& value) {
    value = load_be<std::uint64_t>(at);
    at += sizeof(value);
  });
  auto pcrs = std::array<pcr_value, guests_max>{};
  const auto* from = volatile_blob.data();
  if (!volatile_blob.empty())
    for (auto& pcr : pcrs) {
      std::copy_n(from, pcr.size(), pcr.begin());
      from += pcr.size();
    }
  const auto is_disorderly
    = volatile_blob.empty() && std::exchange(kept.orderly, 1) == 0;
  kept.disorderly_starts += is_disorderly ? 1 : 0;
  auto out = tpm::powered_engine{};
  out.instance = std::make_unique<model_engine>(kept, pcrs);
  if (is_disorderly)
    out.changed = out.instance->current();
  return out;
}

} // namespace vtpm::simulation
