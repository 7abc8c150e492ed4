#include "deploy/vtpmd/hardening.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>

#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "protocol/log.hpp"

namespace vtpm::deploy {

namespace {

void warn_unless(bool done, const char* what) {
  if (!done)
    log().warn("cannot {}: {}", what, std::strerror(errno));
}

bool has_capability(unsigned capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3]{};
  if (::syscall(SYS_capget, &header, data) != 0)
    return false;
  return ((data[capability / 32].effective >> (capability % 32)) & 1) != 0;
}

/// Under a finite limit MCL_FUTURE makes later allocations fail, because the
/// limit counts address space and not what is in use: better unlocked than
/// dead.
bool may_lock_everything() {
  rlimit limit{};
  return has_capability(CAP_IPC_LOCK)
    || (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0
        && limit.rlim_cur == RLIM_INFINITY);
}

} // namespace

void harden_process() {
  const rlimit no_core{0, 0};
  warn_unless(::setrlimit(RLIMIT_CORE, &no_core) == 0, "turn core dumps off");
  warn_unless(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0,
              "keep other processes out of memory");
  warn_unless(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0,
              "give up privileges through exec");
  ::umask(S_IRWXG | S_IRWXO);
  // A frontend costs three descriptors; the usual soft limit is 1024.
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    warn_unless(::setrlimit(RLIMIT_NOFILE, &files) == 0,
                "raise the limit of open files");
  }
  if (!may_lock_everything())
    log().warn("memory is not locked, so secrets may reach swap: give "
               "CAP_IPC_LOCK or an unlimited RLIMIT_MEMLOCK");
  else
    warn_unless(::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0,
                "lock memory, so secrets may reach swap");
}

} // namespace vtpm::deploy
