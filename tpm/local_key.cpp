#include <array>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tpm/crypto/random.hpp"
#include "tpm/owned_file.hpp"
#include "tpm/state_store.hpp"

namespace vtpm::tpm {

namespace {

error unusable(const std::string& path, const char* why) {
  return {errc::unusable, "key file " + path + ": " + why};
}

/// Refuses what somebody else could have put there or could read.
result<unit> check_key_file(int descriptor, const std::string& path) {
  struct stat info {};
  if (::fstat(descriptor, &info) != 0)
    return io_error("cannot examine key file " + path, errno);
  if (!S_ISREG(info.st_mode))
    return unusable(path, "not a regular file");
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return unusable(path, "others may access it, make it 0600");
  if (info.st_uid != ::geteuid() && info.st_uid != 0)
    return unusable(path, "it belongs to another user");
  if (info.st_size != static_cast<off_t>(local_key::size))
    return unusable(path, "it does not have 32 octets");
  return unit{};
}

} // namespace

result<local_key> load_local_key(const std::string& path) {
  // O_NONBLOCK: a FIFO of that name must not hold up the start.
  const auto file = owned_descriptor{
    ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  if (!file && errno == ENOENT)
    return error{errc::not_found, "there is no key file " + path};
  if (!file && errno == ELOOP)
    return unusable(path, "a symbolic link is not followed");
  if (!file)
    return io_error("cannot open key file " + path, errno);
  auto checked = check_key_file(file.get(), path);
  if (!checked)
    return checked.error();
  auto key = local_key{secret_bytes(local_key::size)};
  const auto got = ::pread(file.get(), key.octets.data(), local_key::size, 0);
  if (got < 0)
    return io_error("cannot read key file " + path, errno);
  if (got != static_cast<ssize_t>(local_key::size))
    return unusable(path, "it does not have 32 octets");
  return key;
}

result<local_key> create_local_key(const std::string& path) {
  auto file = unpublished_file::make(path);
  if (!file)
    return file.error();
  auto key = local_key{secret_bytes(local_key::size)};
  fill_random(key.octets);
  auto written
    = write_all(file->descriptor(), key.octets.data(), key.octets.size(), path);
  if (!written)
    return written.error();
  auto published = file->publish();
  if (!published)
    return published.error();
  return key;
}

} // namespace vtpm::tpm
