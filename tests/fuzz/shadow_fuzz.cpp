// Goal: whatever is in a shadow, reading it neither crashes nor yields a state
// that nobody kept.
// Method: the first octet of the input says how to read the rest: as the octets
// of a whole file, as edits of a shadow that a vtpmd left, or as what one of
// its cells holds, sealed with the right key.

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "protocol/big_endian.hpp"
#include "tpm/shadow.hpp"
#include "tpm/slot_payload.hpp"

using namespace vtpm;
using namespace vtpm::tpm;

namespace {

/// Unlike `assert`, in every build.
void require(bool holds) {
  if (!holds)
    std::abort();
}

const shadow_owner owner{};

const secret_bytes& key() {
  static const auto instance = secret_bytes(shadow_key_size, 0x4B);
  return instance;
}

/// A shadow with two generations and an answer.
const byte_vector& left_behind() {
  static const auto instance = [] {
    auto name = std::string{"/dev/shm/vtpm-fuzz-XXXXXX"};
    require(::mkdtemp(name.data()) != nullptr);
    const auto place = shadow_place{name + "/shadow", owner, key()};
    auto content = shadow_content{};
    content.gen = 1;
    content.state = std::make_shared<const snapshot>(
      snapshot{secret_bytes(40, 1), secret_bytes(4, 1)});
    content.volatile_state = secret_bytes(60, 1);
    auto made = shadow::make(place, content);
    require(static_cast<bool>(made));
    (*made)->attach({1, 0}, {});
    const auto response = byte_vector(12, 2);
    const auto answer = answer_view{{1, 0}, {12, 34}, response};
    (*made)->keep(2,
                  std::make_shared<const snapshot>(
                    snapshot{secret_bytes(40, 2), secret_bytes(4, 2)}),
                  secret_bytes(60, 2), &answer);
    auto file = std::ifstream{place.path, std::ios::binary};
    auto octets = byte_vector{std::istreambuf_iterator<char>{file}, {}};
    std::filesystem::remove_all(name);
    return octets;
  }();
  return instance;
}

std::array<std::uint8_t, salt_size> salt_of(const byte_vector& file) {
  const auto salt = decode_shadow_head(file, owner);
  require(static_cast<bool>(salt));
  return *salt;
}

/// Moves to an offset, changes an octet, and so on.
void edit(byte_vector& file, byte_view edits) {
  for (; edits.size() >= 4; edits = edits.subspan(4)) {
    const auto at = protocol::load_be<std::uint32_t>(edits.data()) >> 8;
    file[at % file.size()] ^= edits[3];
  }
}

/// Puts what anyone with the key could have written into a cell.
void forge(byte_vector& file, byte_view rest) {
  if (rest.size() < 2)
    return;
  auto cipher = shadow_cipher::make(key(), owner, salt_of(file));
  require(static_cast<bool>(cipher));
  const auto cell = std::uint32_t{rest[0]} % (first_answer_cell + 1);
  const auto place = place_of(cell);
  const auto half
    = std::span{file}.subspan(place.half(rest[1] % 2), place.half_size);
  const auto content = rest.subspan(2);
  const auto parts = std::array{
    content.first(std::min(content.size(), half.size() - half_header_size))};
  const auto mark = static_cast<delivery>(rest[1] / 2);
  require(static_cast<bool>(
    cipher->seal(cell, {1000, rest[1], 0, mark, {}}, parts, half)));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  if (size == 0)
    return 0;
  const auto rest = byte_view{data + 1, size - 1};
  auto file = left_behind();
  switch (data[0] % 3) {
    case 0:
      require(!read_shadow(rest, key(), owner));
      break;
    case 1: {
      edit(file, rest);
      const auto found = read_shadow(file, key(), owner);
      if (!found)
        break;
      require(found->gen == 1 || found->gen == 2);
      const auto octet = static_cast<std::uint8_t>(found->gen);
      require(found->state->permanent == secret_bytes(40, octet));
      require(found->volatile_state == secret_bytes(60, octet));
      break;
    }
    default:
      forge(file, rest);
      (void)read_shadow(file, key(), owner);
      break;
  }
  return 0;
}
