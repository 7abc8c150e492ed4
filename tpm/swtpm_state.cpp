#include "tpm/swtpm_state.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/big_endian.hpp"
#include "tpm/owned_file.hpp"

namespace vtpm::tpm {

using protocol::load_be;

namespace {

// struct blobheader and the tags of struct tlv_header in swtpm.

constexpr std::size_t header_size = 1 + 1 + 2 + 2 + 4;

/// Since 0.2; older ones have no tags.
constexpr std::uint8_t header_version = 2;

constexpr std::uint16_t encrypted_flags = 0x0001 | 0x0002;

constexpr std::size_t tag_header_size = 2 + 4;

constexpr std::uint16_t tag_data = 1;

error not_swtpm(const char* why) {
  return {errc::not_a_state, std::string{"not a state of swtpm: "} + why};
}

struct file_names {
  tpm_version version;
  const char* permanent;
  const char* savestate;
  const char* transient;
};

constexpr file_names names_of[] = {
  {tpm_version::v1_2, "/tpm-00.permall", "/tpm-00.savestate",
   "/tpm-00.volatilestate"},
  {tpm_version::v2_0, "/tpm2-00.permall", "/tpm2-00.savestate",
   "/tpm2-00.volatilestate"},
};

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

/// Reads and unpacks one state file.
result<secret_bytes> read_state_file(const std::string& path) {
  const auto file
    = owned_descriptor{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!file)
    return io_error("cannot open " + path, errno);
  auto octets = secret_bytes(swtpm_file_size_max + 1);
  std::size_t size = 0;
  while (size < octets.size()) {
    const auto got
      = ::read(file.get(), octets.data() + size, octets.size() - size);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return io_error("cannot read " + path, errno);
    if (got == 0)
      break;
    size += static_cast<std::size_t>(got);
  }
  auto state = decode_swtpm_file(byte_view{octets}.first(size));
  if (!state)
    return error{state.error().code, path + ": " + state.error().detail};
  return state;
}

/// Makes sure that no swtpm has the directory: it locks this file for as long
/// as it runs.
result<owned_descriptor> lock_directory(const std::string& path) {
  const auto name = path + "/.lock";
  auto file
    = owned_descriptor{::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
  if (!file && errno == ENOENT)
    return file;
  if (!file)
    return io_error("cannot open " + name, errno);
  struct flock whole {};
  whole.l_type = F_RDLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(file.get(), F_OFD_SETLK, &whole) == 0)
    return file;
  if (errno == EAGAIN || errno == EACCES)
    return error{errc::locked, "a swtpm is running on " + path + ": stop it"};
  return io_error("cannot lock " + name, errno);
}

/// Returns which TPM there is.
result<const file_names*> find_names(const std::string& path,
                                     std::optional<tpm_version> expected) {
  const file_names* found = nullptr;
  for (const auto& names : names_of) {
    if ((expected && *expected != names.version)
        || !exists(path + names.permanent))
      continue;
    if (found != nullptr)
      return error{errc::unusable,
                   path + " has a TPM 1.2 and a TPM 2.0: say which with --tpm"};
    found = &names;
  }
  if (found != nullptr)
    return found;
  return error{errc::not_found,
               "there is no state of a TPM"
                 + (expected ? std::string{" "} + to_string(*expected) : "")
                 + " in " + path};
}

} // namespace

result<secret_bytes> decode_swtpm_file(byte_view octets) {
  if (octets.size() < header_size)
    return not_swtpm("it is too short");
  const auto* at = octets.data();
  if (at[0] != header_version || at[1] > header_version
      || load_be<std::uint16_t>(at + 2) != header_size)
    return error{errc::unusable,
                 "a state of another version of swtpm: start "
                 "swtpm 0.7 on it once, it writes its own"};
  if (octets.size() > swtpm_file_size_max
      || load_be<std::uint32_t>(at + 6) != octets.size())
    return not_swtpm("it is not as long as it says");
  if ((load_be<std::uint16_t>(at + 4) & encrypted_flags) != 0)
    return error{errc::unusable,
                 "the state is encrypted, and vtpmctl reads plain ones only: "
                 "carry it over with a swtpm that runs without --key"};
  auto rest = octets.subspan(header_size);
  while (!rest.empty()) {
    if (rest.size() < tag_header_size)
      return not_swtpm("a field is cut short");
    const auto tag = load_be<std::uint16_t>(rest.data());
    const auto size = load_be<std::uint32_t>(rest.data() + 2);
    rest = rest.subspan(tag_header_size);
    if (size > rest.size())
      return not_swtpm("a field is longer than what is left");
    const auto value = rest.first(size);
    if (tag == tag_data && !value.empty())
      return secret_bytes(value.begin(), value.end());
    rest = rest.subspan(size);
  }
  return not_swtpm("there is no plain state in it");
}

result<swtpm_state> read_swtpm_directory(const std::string& path,
                                         std::optional<tpm_version> expected) {
  const auto names = find_names(path, expected);
  if (!names)
    return names.error();
  const auto held = lock_directory(path);
  if (!held)
    return held.error();
  auto out = swtpm_state{(*names)->version, {}, false};
  auto permanent = read_state_file(path + (*names)->permanent);
  if (!permanent)
    return permanent.error();
  out.state.permanent = *std::move(permanent);
  if (exists(path + (*names)->savestate)) {
    auto saved = read_state_file(path + (*names)->savestate);
    if (!saved)
      return saved.error();
    out.state.savestate = *std::move(saved);
  }
  out.volatile_ignored = exists(path + (*names)->transient);
  return out;
}

} // namespace vtpm::tpm
