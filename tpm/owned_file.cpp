#include "tpm/owned_file.hpp"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace vtpm::tpm {

namespace {

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos)
    return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

} // namespace

owned_descriptor::~owned_descriptor() {
  if (descriptor_ >= 0)
    ::close(descriptor_);
}

unpublished_file::unpublished_file(std::string path, std::string temporary,
                                   owned_descriptor file) noexcept
  : path_(std::move(path)),
    temporary_(std::move(temporary)),
    file_(std::move(file)) {
  // nop
}

result<unpublished_file> unpublished_file::make(const std::string& path) {
  auto temporary = path + ".new-XXXXXX";
  // mkostemp makes the file 0600 whatever the umask says.
  auto file = owned_descriptor{::mkostemp(temporary.data(), O_CLOEXEC)};
  if (!file)
    return io_error("cannot make a file beside " + path, errno);
  return unpublished_file{path, std::move(temporary), std::move(file)};
}

unpublished_file::~unpublished_file() {
  if (!temporary_.empty())
    ::unlink(temporary_.c_str());
}

result<unit> unpublished_file::publish() {
  return take_name(RENAME_NOREPLACE);
}

result<unit> unpublished_file::replace() {
  return take_name(0);
}

result<unit> unpublished_file::take_name(unsigned flags) {
  if (::fsync(file_.get()) != 0)
    return io_error("cannot sync " + temporary_, errno);
  if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), flags)
      != 0) {
    if (errno == EEXIST)
      return error{errc::exists, path_ + " exists already"};
    return io_error("cannot make " + path_, errno);
  }
  temporary_.clear();
  const auto directory = directory_of(path_);
  const auto handle = owned_descriptor{
    ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!handle || ::fsync(handle.get()) != 0)
    return io_error("cannot sync the directory " + directory, errno);
  return unit{};
}

result<byte_vector> read_small_file(const std::string& path,
                                    std::size_t size_max) {
  // O_NONBLOCK: a FIFO of that name must not hold up anyone.
  const auto file
    = owned_descriptor{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!file && errno == ENOENT)
    return error{errc::not_found, "there is no file " + path};
  if (!file)
    return io_error("cannot open " + path, errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0)
    return io_error("cannot examine " + path, errno);
  if (!S_ISREG(info.st_mode) || info.st_size > static_cast<off_t>(size_max))
    return error{errc::unusable,
                 path + " is not a file of at most " + std::to_string(size_max)
                   + " octets"};
  auto out = byte_vector(static_cast<std::size_t>(info.st_size));
  const auto got = ::pread(file.get(), out.data(), out.size(), 0);
  if (got < 0)
    return io_error("cannot read " + path, errno);
  out.resize(static_cast<std::size_t>(got));
  return out;
}

result<unit> lock_file(int descriptor, const std::string& path) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  return wait_while_locked([&]() -> result<unit> {
    if (::fcntl(descriptor, F_OFD_SETLK, &whole) == 0)
      return unit{};
    if (errno == EAGAIN || errno == EACCES)
      return error{errc::locked, "another process has " + path + " open"};
    return io_error("cannot lock " + path, errno);
  });
}

result<unit> write_all(int descriptor, const void* data, std::size_t size,
                       const std::string& what) {
  const auto* at = static_cast<const char*>(data);
  while (size > 0) {
    const auto written = ::write(descriptor, at, size);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return io_error("cannot write " + what, written < 0 ? errno : ENOSPC);
    at += written;
    size -= static_cast<std::size_t>(written);
  }
  return unit{};
}

} // namespace vtpm::tpm
