#include "deploy/bench/usage.hpp"

#include <string>
#include <string_view>

#include <doctest/doctest.h>
#include <unistd.h>

using namespace vtpm::deploy;

namespace {

/// As proc(5) shows it.
const std::string smaps_rollup
  = "55d0c1a3a000-7ffd3b5f2000 ---p 00000000 00:00 0      [rollup]\n"
    "Rss:                8184 kB\n"
    "Pss:                2411 kB\n"
    "Pss_Dirty:          1270 kB\n"
    "Shared_Clean:       6012 kB\n"
    "Private_Clean:       900 kB\n"
    "Private_Dirty:      1264 kB\n"
    "Referenced:         8184 kB\n";

} // namespace

TEST_SUITE("deploy/bench/usage") {
  TEST_CASE("memory is read by field, not by place") {
    const auto found = parse_memory_use(smaps_rollup);
    REQUIRE(found);
    CHECK(found->private_dirty == 1264);
    CHECK(found->proportional == 2411);
  }

  TEST_CASE("a text cut short has no wrong fields") {
    constexpr std::string_view last = "1264 kB";
    const auto whole = smaps_rollup.find(last) + last.size();
    for (std::size_t size = 0; size < smaps_rollup.size(); ++size) {
      const auto found = parse_memory_use(smaps_rollup.substr(0, size));
      CAPTURE(size);
      CHECK(found.has_value() == (size >= whole));
    }
  }

  TEST_CASE("time on the CPU is the first number") {
    CHECK(parse_cpu_time("123456789 22 3\n") == 123456789U);
    CHECK(parse_cpu_time("0 0 0\n") == 0U);
    CHECK_FALSE(parse_cpu_time(""));
    CHECK_FALSE(parse_cpu_time("\n"));
    CHECK_FALSE(parse_cpu_time("x 1"));
  }

  TEST_CASE("our own process uses both") {
    const auto memory = memory_of(::getpid());
    REQUIRE(memory);
    CHECK(memory->private_dirty > 0);
    CHECK(memory->proportional > 0);
    const auto time = cpu_time_of(::getpid());
    REQUIRE(time);
    CHECK(*time > 0);
  }
}
