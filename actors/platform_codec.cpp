#include "actors/platform_codec.hpp"

#include <algorithm>
#include <cassert>
#include <cstddef>

#include "protocol/big_endian.hpp"
#include "tpm/state_store.hpp"

namespace vtpm::actors {

namespace {

constexpr std::uint8_t has_primary = 0x01;
constexpr std::uint8_t keeps_next = 0x02;

/// Flags, domid, number of uuids.
constexpr std::size_t fixed_size = 1 + 2 + 1;

} // namespace

byte_vector encode(const platform_memory& memory) {
  constexpr auto uuid_size = tpm::uuid{}.size();
  byte_vector octets(fixed_size + memory.uuids.size() * uuid_size);
  auto* target = octets.data();
  *target++
    = static_cast<std::uint8_t>((memory.primary_domain ? has_primary : 0)
                                | (memory.keep_next ? keeps_next : 0));
  target = protocol::store_be<std::uint16_t>(target,
                                             memory.primary_domain.value_or(0));
  *target++ = static_cast<std::uint8_t>(memory.uuids.size());
  for (const auto& text : memory.uuids) {
    const auto id = tpm::parse_uuid(text);
    assert(id);
    target = std::copy(id->begin(), id->end(), target);
  }
  return octets;
}

std::optional<platform_memory> decode_platform_memory(byte_view octets) {
  auto id = tpm::uuid{};
  if (octets.size() < fixed_size)
    return std::nullopt;
  const auto flags = octets[0];
  const auto domain = protocol::load_be<std::uint16_t>(octets.data() + 1);
  const auto count = std::size_t{octets[3]};
  if ((flags & ~(has_primary | keeps_next)) != 0
      || ((flags & has_primary) == 0 && domain != 0)
      || count > platform_memory::uuids_max
      || octets.size() != fixed_size + count * id.size())
    return std::nullopt;
  platform_memory memory;
  if ((flags & has_primary) != 0)
    memory.primary_domain = domain;
  memory.keep_next = (flags & keeps_next) != 0;
  for (auto rest = octets.subspan(fixed_size); !rest.empty();
       rest = rest.subspan(id.size())) {
    std::copy_n(rest.begin(), id.size(), id.begin());
    memory.uuids.push_back(tpm::to_string(id));
  }
  return memory;
}

} // namespace vtpm::actors
