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
  if (::fsync(file_.get()) != 0)
    return io_error("cannot sync " + temporary_, errno);
  if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(),
                  RENAME_NOREPLACE)
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
