// Goal: whatever an export holds, reading it neither crashes nor costs much nor
// yields a TPM that nobody exported.
// Method: the first octet says whether the rest is a file as it is, edits of a
// real one, or the plain octets of one that is sealed under the right key.

#include <algorithm>
#include <cstdlib>

#include "protocol/big_endian.hpp"
#include "tpm/export_file.hpp"

using namespace vtpm;
using namespace vtpm::tpm;

namespace {

/// Unlike `assert`, in every build.
void require(bool holds) {
  if (!holds)
    std::abort();
}

const secret_bytes& secret() {
  static const auto instance = secret_bytes(local_key::size, 0x4C);
  return instance;
}

/// Seals, under a key file of 32 octets 4C.
byte_vector seal(const snapshot& state) {
  const auto lock = make_export_lock(export_lock_kind::key_file);
  const auto octets = seal_export({tpm_version::v2_0, uuid{1}, 7, state, {}},
                                  lock, *derive_export_key(lock, secret()));
  require(static_cast<bool>(octets));
  return *octets;
}

const byte_vector& genuine() {
  static const auto instance = seal({{1, 2, 3}, {4}});
  return instance;
}

/// Reads a file as vtpmctl does, but for passphrases, which only cost time.
result<export_content> read(byte_view octets) {
  const auto lock = read_export_lock(octets);
  if (!lock)
    return lock.error();
  require(lock->cost <= export_cost_max && octets.size() <= export_size_max);
  if (lock->kind == export_lock_kind::passphrase)
    return error{errc::wrong_key, "not tried"};
  return open_export(octets, *derive_export_key(*lock, secret()));
}

/// Applies edits of three octets each: offset, what to flip.
byte_vector edited(byte_view edits) {
  auto octets = genuine();
  for (; edits.size() >= 3; edits = edits.subspan(3))
    octets[protocol::load_be<std::uint16_t>(edits.data()) % octets.size()]
      ^= edits[2];
  return octets;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  if (size == 0)
    return 0;
  const auto rest = byte_view{data + 1, size - 1};
  switch (data[0] % 3) {
    case 0:
      require(!read(rest));
      break;
    case 1: {
      const auto octets = edited(rest);
      require(static_cast<bool>(read(octets)) == (octets == genuine()));
      break;
    }
    default: {
      const auto middle = static_cast<std::ptrdiff_t>(rest.size() / 2);
      const auto state = snapshot{{rest.begin(), rest.begin() + middle},
                                  {rest.begin() + middle, rest.end()}};
      const auto content = read(seal(state));
      require(content && content->state.permanent == state.permanent
              && content->state.savestate == state.savestate);
      break;
    }
  }
  return 0;
}
