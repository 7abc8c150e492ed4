#include "tpm/crypto/crc32c.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace vtpm::tpm {

namespace {

/// The polynomial 0x1EDC6F41 with its bits in reflected order.
constexpr std::uint32_t polynomial = 0x82F63B78;

constexpr std::size_t slices = 8;

using crc_tables = std::array<std::array<std::uint32_t, 256>, slices>;

/// Row 0 advances the CRC by one octet, row n by one octet and n zero octets,
/// so that eight octets take eight look-ups that do not wait for each other.
constexpr crc_tables make_tables() noexcept {
  auto tables = crc_tables{};
  for (std::uint32_t octet = 0; octet < 256; ++octet) {
    auto crc = octet;
    for (auto bit = 0; bit < 8; ++bit)
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? polynomial : 0);
    tables[0][octet] = crc;
  }
  for (std::size_t row = 1; row < slices; ++row)
    for (std::size_t octet = 0; octet < 256; ++octet) {
      const auto above = tables[row - 1][octet];
      tables[row][octet] = (above >> 8) ^ tables[0][above & 0xFF];
    }
  return tables;
}

constexpr auto tables = make_tables();

/// Eight octets as the little-endian number the reflected CRC works on.
std::uint64_t load_le(const std::uint8_t* source) noexcept {
  static_assert(std::endian::native == std::endian::little,
                "the ring's page is little-endian too: x86 and Arm only");
  auto value = std::uint64_t{0};
  std::memcpy(&value, source, sizeof(value));
  return value;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse(
  byte_view data) noexcept {
  auto crc = std::uint64_t{0xFFFFFFFF};
  for (; data.size() >= 8; data = data.subspan(8))
    crc = _mm_crc32_u64(crc, load_le(data.data()));
  auto rest = static_cast<std::uint32_t>(crc);
  for (const auto octet : data)
    rest = _mm_crc32_u8(rest, octet);
  return ~rest;
}
#endif

using crc_function = std::uint32_t (*)(byte_view) noexcept;

crc_function fastest() noexcept {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2"))
    return crc32c_sse;
#endif
  return crc32c_portable;
}

} // namespace

std::uint32_t crc32c_portable(byte_view data) noexcept {
  auto crc = std::uint32_t{0xFFFFFFFF};
  for (; data.size() >= slices; data = data.subspan(slices)) {
    const auto eight = load_le(data.data()) ^ crc;
    crc = 0;
    for (std::size_t i = 0; i < slices; ++i)
      crc ^= tables[slices - 1 - i][(eight >> (8 * i)) & 0xFF];
  }
  for (const auto octet : data)
    crc = (crc >> 8) ^ tables[0][(crc ^ octet) & 0xFF];
  return ~crc;
}

std::uint32_t crc32c(byte_view data) noexcept {
  static const auto function = fastest();
  return function(data);
}

} // namespace vtpm::tpm
