#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "tpm/hardware/hardware_tpm.hpp"

namespace vtpm::tests {

/// A hardware TPM that a test can pull the plug of. Seals by keeping what it
/// was given; counts as a TPM does, orderly counters included.
///
/// Fault model: a call fails if the test says so, before or after it has had
/// its effect; RAM is lost whenever `lose_power` says so.
class hardware_double : public tpm::hardware_tpm {
public:
  static constexpr std::uint64_t window = 7;

  /// What becomes of the next call of `increment_counter`.
  enum class fate { works, fails_before, fails_after };

  fate next_increment = fate::works;
  std::size_t increments = 0;

  /// Turns the machine off and on. What RAM held is lost unless `in_order`.
  void lose_power(bool in_order) {
    for (auto& [index, counter] : counters_)
      if (in_order)
        counter.stored = counter.value;
      else if (counter.kind == tpm::counter_kind::orderly)
        counter.value = counter.stored | window;
    for (auto& value : registers_)
      value = {};
    ++resets_;
    orderly_ = in_order;
  }

  std::uint64_t value_at(std::uint32_t index) const {
    return counters_.at(index).value;
  }

  tpm::result<tpm::hardware_status> status() override {
    return tpm::hardware_status{
      "test", "1.0", {tpm::pcr_bank::sha256}, resets_, orderly_};
  }

  // -- registers --------------------------------------------------------------

  tpm::result<byte_vector> read_pcr(tpm::pcr_bank bank,
                                    unsigned index) override {
    if (bank != tpm::pcr_bank::sha256)
      return tpm::error{tpm::errc::not_found, "no such bank"};
    return byte_vector{registers_[index].begin(), registers_[index].end()};
  }

  /// Adds, where a TPM hashes.
  tpm::result<unit> extend_pcr(tpm::pcr_bank, unsigned index,
                               byte_view digest) override {
    std::transform(digest.begin(), digest.end(), registers_[index].begin(),
                   registers_[index].begin(), [](auto a, auto b) {
                     return static_cast<std::uint8_t>(a + b);
                   });
    return unit{};
  }

  tpm::result<byte_vector> pcr_policy(const tpm::pcr_selection& pcrs) override {
    auto values = byte_vector{};
    for (auto i = 0u; i < tpm::pcr_count; ++i)
      if ((pcrs.mask >> i & 1) != 0)
        values.insert(values.end(), registers_[i].begin(), registers_[i].end());
    return pcr_policy(pcrs, values);
  }

  /// The sum of the values, where a TPM hashes.
  tpm::result<byte_vector> pcr_policy(const tpm::pcr_selection& pcrs,
                                      byte_view values) override {
    auto out = byte_vector(32);
    out[0] = static_cast<std::uint8_t>(pcrs.mask);
    for (std::size_t i = 0; i < values.size(); ++i)
      out[i % 32] = static_cast<std::uint8_t>(out[i % 32] + values[i]);
    return out;
  }

  tpm::result<unit> random(std::span<std::uint8_t> target) override {
    std::fill(target.begin(), target.end(), std::uint8_t{0x5A});
    return unit{};
  }

  // -- sealing ----------------------------------------------------------------

  tpm::result<tpm::sealed_object> seal(
    byte_view secret, const tpm::seal_policy& policy) override {
    auto condition = pcr_policy(policy.pcrs);
    const auto number = static_cast<std::uint8_t>(sealed_.size());
    sealed_.push_back({{secret.begin(), secret.end()},
                       policy.approver.empty() ? *condition : byte_vector{}});
    return tpm::sealed_object{{number}, {number, 1}};
  }

  /// The signature of an approval is the approver's name, where a TPM verifies.
  tpm::result<tpm::secret_bytes> unseal(
    const tpm::sealed_object& sealed, const tpm::seal_policy& policy,
    std::span<const tpm::pcr_approval> approvals) override {
    if (sealed.public_part.size() != 1
        || sealed.public_part[0] >= sealed_.size())
      return tpm::error{tpm::errc::wrong_key, "sealed by another TPM"};
    const auto& [secret, condition] = sealed_[sealed.public_part[0]];
    const auto now = *pcr_policy(policy.pcrs);
    auto approves = [&](const tpm::pcr_approval& approval) {
      return approval.policy == now
        && std::ranges::equal(approval.signature, policy.approver);
    };
    if (policy.approver.empty() ? condition != now
                                : std::ranges::none_of(approvals, approves))
      return tpm::error{tpm::errc::policy, "the registers have other values"};
    return secret;
  }

  // -- counters ---------------------------------------------------------------

  tpm::result<tpm::counter_reading> define_counter(
    const tpm::nv_counter& counter) override {
    if (counters_.count(counter.index) > 0)
      return tpm::error{tpm::errc::exists, "there is a counter"};
    ++highest_;
    counters_[counter.index] = {counter.kind, counter.auth, highest_, highest_};
    return reading_of(counter);
  }

  tpm::result<tpm::counter_reading> read_counter(
    const tpm::nv_counter& counter) override {
    const auto found = counters_.find(counter.index);
    if (found == counters_.end() || found->second.kind != counter.kind)
      return tpm::error{tpm::errc::not_found, "there is no such counter"};
    return reading_of(counter);
  }

  tpm::result<tpm::counter_reading> increment_counter(
    const tpm::nv_counter& counter) override {
    auto current = read_counter(counter);
    const auto failing = std::exchange(next_increment, fate::works);
    if (!current || failing == fate::fails_before)
      return tpm::error{tpm::errc::hardware, "the TPM does not answer"};
    auto& record = counters_.at(counter.index);
    ++record.value;
    ++increments;
    if (record.kind == tpm::counter_kind::strict
        || (record.value & window) == 0)
      record.stored = record.value;
    highest_ = std::max(highest_, record.value);
    if (failing == fate::fails_after)
      return tpm::error{tpm::errc::hardware, "the TPM does not answer"};
    return reading_of(counter);
  }

  tpm::result<unit> remove_counter(const tpm::nv_counter& counter) override {
    counters_.erase(counter.index);
    return unit{};
  }

private:
  struct counter_record {
    tpm::counter_kind kind;
    tpm::secret_bytes auth;
    std::uint64_t value;
    /// What NV memory has.
    std::uint64_t stored;
  };

  tpm::counter_reading reading_of(const tpm::nv_counter& counter) const {
    const auto strict = counter.kind == tpm::counter_kind::strict;
    return {counters_.at(counter.index).value, strict ? 0 : window};
  }

  std::map<std::uint32_t, counter_record> counters_;
  std::uint64_t highest_ = 0;
  std::array<std::array<std::uint8_t, 32>, tpm::pcr_count> registers_{};
  std::vector<std::pair<tpm::secret_bytes, byte_vector>> sealed_;
  std::uint32_t resets_ = 0;
  bool orderly_ = true;
};

} // namespace vtpm::tests
