#include "tpm/hardware/sealed_key.hpp"

#include <algorithm>
#include <cassert>
#include <filesystem>
#include <system_error>

#include "protocol/big_endian.hpp"
#include "tpm/crypto/crc32c.hpp"
#include "tpm/owned_file.hpp"

namespace vtpm::tpm {

using protocol::load_be;
using protocol::store_be;

namespace {

/// ASCII: "vTPM sealed key" in four letters.
constexpr auto magic = std::array<std::uint8_t, 4>{'v', 'T', 's', 'k'};

constexpr std::uint8_t format_version = 1;

/// Magic, format, zero, bank, mask, three lengths.
constexpr std::size_t header_size = 4 + 1 + 1 + 2 + 4 + 3 * 2;
static_assert(header_size == 18);
constexpr std::size_t lengths_offset = header_size - 3 * 2;
constexpr std::size_t crc_size = 4;

/// Of a signature: RSA with 3072 bits.
constexpr std::size_t signature_size_max = 384;
constexpr std::size_t policy_size = 32;

error not_sealed(const char* why) {
  return {errc::not_a_state, std::string{"not a sealed key of ours: "} + why};
}

std::uint16_t length_of(std::size_t size) noexcept {
  assert(size < sealed_key_size_max);
  return static_cast<std::uint16_t>(size);
}

result<unit> write(const std::string& path, const sealed_key& sealed,
                   bool replacing) {
  auto file = unpublished_file::make(path);
  if (!file)
    return file.error();
  const auto octets = encode_sealed_key(sealed);
  auto written
    = write_all(file->descriptor(), octets.data(), octets.size(), path);
  if (!written)
    return written;
  return replacing ? file->replace() : file->publish();
}

} // namespace

byte_vector encode_sealed_key(const sealed_key& sealed) {
  const auto& [policy, object] = sealed;
  auto out = byte_vector(header_size + policy.approver.size()
                         + object.public_part.size()
                         + object.private_part.size() + crc_size);
  assert(out.size() <= sealed_key_size_max);
  auto* at = std::copy(magic.begin(), magic.end(), out.data());
  at = store_be(at, format_version);
  at = store_be(at, std::uint8_t{0});
  at = store_be(at, static_cast<std::uint16_t>(policy.pcrs.bank));
  at = store_be(at, policy.pcrs.mask);
  at = store_be(at, length_of(policy.approver.size()));
  at = store_be(at, length_of(object.public_part.size()));
  at = store_be(at, length_of(object.private_part.size()));
  at = std::copy(policy.approver.begin(), policy.approver.end(), at);
  at = std::copy(object.public_part.begin(), object.public_part.end(), at);
  at = std::copy(object.private_part.begin(), object.private_part.end(), at);
  const auto crc = crc32c(byte_view{out}.first(out.size() - crc_size));
  at = store_be(at, crc);
  assert(at == out.data() + out.size());
  return out;
}

result<sealed_key> decode_sealed_key(byte_view octets) {
  if (octets.size() < magic.size() + 1
      || !std::equal(magic.begin(), magic.end(), octets.begin()))
    return not_sealed("it does not start as one");
  if (octets[magic.size()] != format_version)
    return not_sealed("it needs a later version");
  const auto damaged
    = error{errc::damage,
            "the sealed key was changed or cut short: open the store with its "
            "recovery file and seal it again"};
  if (octets.size() < header_size + crc_size
      || octets.size() > sealed_key_size_max)
    return damaged;
  auto sizes = std::array<std::size_t, 3>{};
  for (std::size_t i = 0; i < sizes.size(); ++i)
    sizes[i] = load_be<std::uint16_t>(octets.data() + lengths_offset + 2 * i);
  if (octets.size() != header_size + sizes[0] + sizes[1] + sizes[2] + crc_size
      || load_be<std::uint32_t>(octets.data() + octets.size() - crc_size)
        != crc32c(octets.first(octets.size() - crc_size)))
    return damaged;
  auto out = sealed_key{};
  auto& pcrs = out.policy.pcrs;
  pcrs.bank = static_cast<pcr_bank>(load_be<std::uint16_t>(octets.data() + 6));
  pcrs.mask = load_be<std::uint32_t>(octets.data() + 8);
  if (digest_size(pcrs.bank) == 0 || pcrs.mask == 0
      || pcrs.mask >> pcr_count != 0)
    return not_sealed("it names no PCRs");
  auto rest = octets.subspan(header_size);
  auto take = [&rest](std::size_t size) {
    const auto part = rest.first(size);
    rest = rest.subspan(size);
    return part;
  };
  const auto approver = take(sizes[0]);
  out.policy.approver.assign(approver.begin(), approver.end());
  const auto outer = take(sizes[1]);
  out.object.public_part.assign(outer.begin(), outer.end());
  const auto inner = take(sizes[2]);
  out.object.private_part.assign(inner.begin(), inner.end());
  return out;
}

result<sealed_key> load_sealed_key(const std::string& path) {
  auto octets = read_small_file(path, sealed_key_size_max);
  if (!octets)
    return octets.error();
  auto sealed = decode_sealed_key(*octets);
  if (!sealed)
    return error{sealed.error().code, path + ": " + sealed.error().detail};
  return sealed;
}

result<unit> create_sealed_key(const std::string& path,
                               const sealed_key& sealed) {
  return write(path, sealed, /*replacing=*/false);
}

result<unit> replace_sealed_key(const std::string& path,
                                const sealed_key& sealed) {
  return write(path, sealed, /*replacing=*/true);
}

result<sealed_key> seal_store_secret(hardware_tpm& hardware,
                                     const store_secret& secret,
                                     const seal_policy& policy) {
  auto object = hardware.seal(encode_store_secret(secret), policy);
  if (!object)
    return object.error();
  return sealed_key{policy, *std::move(object)};
}

result<store_secret> unseal_store_secret(
  hardware_tpm& hardware, const sealed_key& sealed,
  std::span<const pcr_approval> approvals) {
  auto octets = hardware.unseal(sealed.object, sealed.policy, approvals);
  if (!octets)
    return octets.error();
  return decode_store_secret(*octets);
}

result<std::vector<pcr_approval>> load_approvals(const std::string& directory) {
  namespace fs = std::filesystem;
  auto failure = std::error_code{};
  auto out = std::vector<pcr_approval>{};
  for (auto at = fs::directory_iterator{directory, failure};
       !failure && at != fs::directory_iterator{} && out.size() < approvals_max;
       at.increment(failure)) {
    auto path = at->path();
    if (path.extension() != ".policy")
      continue;
    auto policy = read_small_file(path, policy_size);
    auto signature
      = read_small_file(path.replace_extension(".sig"), signature_size_max);
    if (policy && signature && policy->size() == policy_size)
      out.push_back({*std::move(policy), *std::move(signature)});
  }
  if (failure)
    return io_error("cannot read the approvals in " + directory,
                    failure.value());
  return out;
}

} // namespace vtpm::tpm
