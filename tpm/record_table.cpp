#include "tpm/record_table.hpp"

#include <algorithm>
#include <cassert>
#include <string>
#include <utility>

#include "protocol/big_endian.hpp"

namespace vtpm::tpm {

namespace {

using protocol::load_be;
using protocol::store_be;
using protocol::manager::record_size;

constexpr std::array<std::uint8_t, 4> magic = {'v', 'T', 'r', 't'};

constexpr std::uint32_t format_version = 1;

/// Magic, format, count.
constexpr std::size_t head_size = magic.size() + 4 + 4;

/// uuid, flags, replacements, record.
constexpr std::size_t entry_size = 16 + 4 + 8 + record_size;

constexpr std::uint32_t disabled_flag = 1;

static_assert(head_size + records_max * entry_size < slot_size / 2,
              "a full table fits into a slot, whatever the slot adds");

error malformed(const char* what) {
  return {errc::not_a_state, std::string{"the manager's records: "} + what};
}

std::pair<uuid, kept_record> decode_entry(const std::uint8_t* at) {
  auto out = std::pair<uuid, kept_record>{};
  std::copy_n(at, out.first.size(), out.first.begin());
  at += out.first.size();
  out.second.disabled = load_be<std::uint32_t>(at) == disabled_flag;
  out.second.replacements = load_be<std::uint64_t>(at + 4);
  std::copy_n(at + 4 + 8, record_size, out.second.octets.begin());
  return out;
}

} // namespace

bool kept_record::is_recorded() const noexcept {
  return std::ranges::any_of(octets,
                             [](std::uint8_t octet) { return octet != 0; });
}

secret_bytes encode_records(const record_table& table) {
  assert(table.size() <= records_max);
  auto out = secret_bytes(head_size + table.size() * entry_size);
  auto* at = std::copy(magic.begin(), magic.end(), out.data());
  at = store_be(at, format_version);
  at = store_be(at, static_cast<std::uint32_t>(table.size()));
  for (const auto& [id, kept] : table) {
    at = std::copy(id.begin(), id.end(), at);
    at = store_be(at, kept.disabled ? disabled_flag : std::uint32_t{0});
    at = store_be(at, kept.replacements);
    assert(kept.octets.size() == record_size);
    at = std::copy(kept.octets.begin(), kept.octets.end(), at);
  }
  assert(at == out.data() + out.size());
  return out;
}

result<record_table> decode_records(byte_view octets) {
  if (octets.size() < head_size
      || !std::equal(magic.begin(), magic.end(), octets.data()))
    return malformed("no such table");
  if (load_be<std::uint32_t>(octets.data() + magic.size()) != format_version)
    return malformed("a format of a later version");
  const auto count = load_be<std::uint32_t>(octets.data() + magic.size() + 4);
  if (count > records_max || octets.size() != head_size + count * entry_size)
    return malformed("not as many as it says");
  auto table = record_table{};
  for (std::size_t i = 0; i < count; ++i) {
    const auto* at = octets.data() + head_size + i * entry_size;
    if (load_be<std::uint32_t>(at + 16) > disabled_flag)
      return malformed("a flag of a later version");
    auto entry = decode_entry(at);
    if (!table.empty() && !(table.rbegin()->first < entry.first))
      return malformed("not in order");
    table.insert(table.end(), std::move(entry));
  }
  return table;
}

} // namespace vtpm::tpm
