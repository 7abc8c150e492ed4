#include "xenio/loopback/page_mapping.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace vtpm::xenio::loopback {

namespace {

constexpr int needed_seals = F_SEAL_SHRINK | F_SEAL_GROW;

} // namespace

result<std::shared_ptr<page_mapping>> page_mapping::map(int memory_file) {
  const auto seals = ::fcntl(memory_file, F_GET_SEALS);
  if (seals < 0)
    return error{errc::bad_grant, "the page is not a memory file"};
  if ((seals & needed_seals) != needed_seals)
    return error{errc::bad_grant,
                 "the page is not sealed against shrinking and growing"};
  // The size is looked at after the seals: from then on it is for good.
  struct stat status = {};
  if (::fstat(memory_file, &status) != 0)
    return io_error("cannot examine the page", errno);
  if (!S_ISREG(status.st_mode) || status.st_size != off_t{protocol::page_size})
    return error{errc::bad_grant,
                 "the page has " + std::to_string(status.st_size)
                   + " octets, not " + std::to_string(protocol::page_size)};
  // Populated now, so that the first command does not pay for it.
  auto address = ::mmap(nullptr, protocol::page_size, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_POPULATE, memory_file, 0);
  if (address == MAP_FAILED)
    return error{errc::bad_grant,
                 io_error("cannot map the page", errno).detail};
  return std::shared_ptr<page_mapping>{
    new page_mapping{static_cast<std::uint8_t*>(address)}};
}

page_mapping::~page_mapping() {
  ::munmap(octets_, protocol::page_size);
}

result<descriptor> make_page_file() {
  auto file
    = descriptor{::memfd_create("vtpm-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (!file || ::ftruncate(file.get(), off_t{protocol::page_size}) != 0
      || ::fcntl(file.get(), F_ADD_SEALS, needed_seals) != 0)
    return io_error("cannot make a page to share", errno);
  return file;
}

} // namespace vtpm::xenio::loopback
