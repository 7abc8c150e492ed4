#include "deploy/vtpmd/hardening.hpp"

#include <string>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

namespace {

/// Returns how many of the promises do not hold after `harden_process`.
int promises_broken() {
  vtpm::deploy::harden_process();
  rlimit core{1, 1};
  ::getrlimit(RLIMIT_CORE, &core);
  const auto mask = ::umask(0);
  return int{core.rlim_cur != 0} + int{core.rlim_max != 0}
  + int{::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0}
  + int{::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1} + int{mask != 077};
}

} // namespace

TEST_SUITE("deploy/vtpmd/hardening") {
  TEST_CASE("a hardened process dumps nothing and shares nothing") {
    // In a child, because there is no way back.
    const auto child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0)
      ::_exit(promises_broken());
    auto status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }

  TEST_CASE("a small memory limit leaves memory to allocate") {
    const auto child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      // Had all future memory been locked, this would go beyond the limit.
      // Root's capability lifts the limit, and then nothing is to be seen.
      const rlimit small{1 << 20, 1 << 20};
      ::setrlimit(RLIMIT_MEMLOCK, &small);
      vtpm::deploy::harden_process();
      const std::string large(64 << 20, 'x');
      ::_exit(large.back() == 'x' ? 0 : 1);
    }
    auto status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
}
