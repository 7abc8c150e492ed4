#include "xenio/xen/driver.hpp"

#include <cerrno>
#include <cstdarg>
#include <string>

#include <xentoollog.h>

namespace vtpm::xenio::xen {

error driver_error(const char* device, const char* module, int os_error) {
  if (os_error == ENOENT || os_error == ENODEV || os_error == ENXIO)
    return {errc::io,
            std::string{device} + " is missing: load " + module
              + ", or this machine is no Xen domain"};
  if (os_error == EACCES || os_error == EPERM)
    return {errc::io,
            std::string{device}
              + " is not ours to open: run as root, or give this user access"};
  return io_error(std::string{"cannot open "} + device, os_error);
}

xentoollog_logger* silent_logger() noexcept {
  static xentoollog_logger logger
    = {[](xentoollog_logger*, xentoollog_level, int, const char*, const char*,
          std::va_list) {},
       [](xentoollog_logger*, const char*, const char*, int, unsigned long,
          unsigned long) {},
       [](xentoollog_logger*) {}};
  return &logger;
}

} // namespace vtpm::xenio::xen
