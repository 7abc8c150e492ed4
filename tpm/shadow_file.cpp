#include "tpm/shadow_file.hpp"

#include <cassert>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace vtpm::tpm {

namespace {

/// A shadow on a disk would outlive what it is a shadow of.
result<unit> check_in_memory(int descriptor, const std::string& path) {
  struct statfs found {};
  if (::fstatfs(descriptor, &found) != 0)
    return io_error("cannot tell what filesystem " + path + " is on", errno);
  // Its type differs from one architecture to the next.
  const auto type = static_cast<unsigned long>(found.f_type);
  if (type == TMPFS_MAGIC || type == RAMFS_MAGIC)
    return unit{};
  return error{errc::unusable, path + " is not on a tmpfs or ramfs"};
}

} // namespace

shadow_file::shadow_file(std::string path, std::string name,
                         owned_descriptor file)
  : path_(std::move(path)), name_(std::move(name)), file_(std::move(file)) {
  // nop
}

shadow_file::shadow_file(shadow_file&& other) noexcept
  : path_(std::move(other.path_)),
    name_(std::exchange(other.name_, {})),
    file_(std::move(other.file_)),
    mapping_(std::exchange(other.mapping_, {})) {
  // nop
}

shadow_file::~shadow_file() {
  if (!mapping_.empty())
    ::munmap(mapping_.data(), mapping_.size());
  if (!name_.empty() && name_ != path_)
    ::unlink(name_.c_str());
}

result<std::optional<shadow_file>> shadow_file::open(const std::string& path) {
  auto file = owned_descriptor{
    ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  if (!file && errno == ENOENT)
    return std::optional<shadow_file>{};
  if (!file)
    return io_error("cannot open " + path, errno);
  struct stat found {};
  if (::fstat(file.get(), &found) != 0)
    return io_error("cannot examine " + path, errno);
  // In a directory that others may write, anybody could have put it there.
  if (!S_ISREG(found.st_mode) || found.st_uid != ::geteuid()
      || (found.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return error{errc::unusable,
                 path + " must be a file of this user's, mode 0600: remove it"};
  if (auto here = check_in_memory(file.get(), path); !here)
    return here.error();
  if (auto locked = lock_file(file.get(), path); !locked)
    return locked.error();
  return std::optional{shadow_file{path, path, std::move(file)}};
}

result<std::optional<shadow_file>> shadow_file::look(const std::string& path) {
  auto file = owned_descriptor{
    ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  if (!file && errno == ENOENT)
    return std::optional<shadow_file>{};
  if (!file)
    return io_error("cannot open " + path, errno);
  struct stat found {};
  if (::fstat(file.get(), &found) != 0)
    return io_error("cannot examine " + path, errno);
  if (!S_ISREG(found.st_mode))
    return error{errc::unusable, path + " is no file"};
  return std::optional{shadow_file{path, path, std::move(file)}};
}

result<shadow_file> shadow_file::make(const std::string& path) {
  auto name = path + ".new-XXXXXX";
  auto file = owned_descriptor{::mkostemp(name.data(), O_CLOEXEC)};
  if (!file)
    return io_error("cannot make a file beside " + path, errno);
  auto out = shadow_file{path, std::move(name), std::move(file)};
  if (auto here = check_in_memory(out.file_.get(), path); !here)
    return here.error();
  if (auto locked = lock_file(out.file_.get(), path); !locked)
    return locked.error();
  return out;
}

result<unit> shadow_file::publish() {
  if (::rename(name_.c_str(), path_.c_str()) != 0)
    return io_error("cannot make " + path_, errno);
  name_ = path_;
  return unit{};
}

void shadow_file::remove() noexcept {
  struct stat ours {};
  struct stat there {};
  if (::fstat(file_.get(), &ours) == 0 && ::lstat(path_.c_str(), &there) == 0
      && ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
    ::unlink(path_.c_str());
}

result<secret_bytes> shadow_file::read(std::size_t size_max) const {
  struct stat found {};
  if (::fstat(file_.get(), &found) != 0)
    return io_error("cannot examine " + path_, errno);
  const auto size = static_cast<std::size_t>(found.st_size);
  if (size > size_max)
    return error{errc::unusable, path_ + " is too large for a shadow"};
  auto octets = secret_bytes(size);
  auto done = std::size_t{0};
  while (done < size) {
    const auto count = ::pread(file_.get(), octets.data() + done, size - done,
                               static_cast<off_t>(done));
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return io_error("cannot read " + path_, count < 0 ? errno : EIO);
    done += static_cast<std::size_t>(count);
  }
  return octets;
}

result<std::span<std::uint8_t>> shadow_file::map(std::size_t size_max) {
  assert(mapping_.empty());
  auto* address = ::mmap(nullptr, size_max, PROT_READ | PROT_WRITE, MAP_SHARED,
                         file_.get(), 0);
  if (address == MAP_FAILED)
    return io_error("cannot map " + path_, errno);
  mapping_ = {static_cast<std::uint8_t*>(address), size_max};
  return mapping_;
}

result<unit> shadow_file::resize(std::size_t size) {
  if (::ftruncate(file_.get(), static_cast<off_t>(size)) != 0)
    return io_error("cannot resize " + path_, errno);
  return unit{};
}

result<unit> shadow_file::reserve(std::size_t offset, std::size_t size) {
  auto code = 0;
  do
    code = ::fallocate(file_.get(), 0, static_cast<off_t>(offset),
                       static_cast<off_t>(size));
  while (code != 0 && errno == EINTR);
  // ramfs has no limit to run into, and no such call.
  if (code != 0 && errno != EOPNOTSUPP)
    return io_error("cannot take memory for " + path_, errno);
  return unit{};
}

} // namespace vtpm::tpm
