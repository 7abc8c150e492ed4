// Goal: no end of a vtpmd, wherever it comes, breaks the promise.
// Method: one small world, cut after every single step, in every way that the
// sectors under way may or may not have got to the disk. Random and larger
// worlds: tests/simulation/run.

#include <malloc.h>

#include <doctest/doctest.h>

#include "protocol/log.hpp"
#include "tests/simulation/world.hpp"

using namespace vtpm;
using namespace vtpm::simulation;

namespace {

/// Enough for both guests to connect and to be told a few things.
constexpr auto steps = 200u;

/// Tens of thousands of lives have too much to say, and too many slots come and
/// go with them for the kernel to hear of each.
struct silence {
  silence() : before(log().level()) {
    log().set_level(spdlog::level::off);
    ::mallopt(M_MMAP_THRESHOLD, 1 << 28);
    ::mallopt(M_TRIM_THRESHOLD, 1 << 28);
  }

  ~silence() {
    log().set_level(before);
  }

  spdlog::level::level_enum before;
};

/// Cuts after every step; returns in how many ways.
std::uint64_t cut_everywhere(ending how, std::uint64_t seed) {
  const auto kit = make_kit(engine_kind::model);
  auto ways = std::uint64_t{0};
  auto answers = std::uint64_t{0};
  for (auto cut = 0u; cut <= steps; ++cut) {
    CAPTURE(cut);
    world small{kit, seed, 2};
    small.be_kind();
    REQUIRE(small.begin_life());
    for (auto i = 0u; i < cut; ++i)
      small.step();
    REQUIRE_NOTHROW(ways += small.end_life_every_way(how));
    answers = small.done().answers;
  }
  CHECK(answers > 0);
  return ways;
}

} // namespace

TEST_SUITE("simulation/world") {
  TEST_CASE_FIXTURE(silence, "power is cut after every step, in every way") {
    const auto ways = cut_everywhere(ending::power_cut, 1);
    MESSAGE(ways << " ways to cut the power of one small world");
    // Eight sectors may survive in 256 ways.
    CHECK(ways > 256);
  }

  TEST_CASE_FIXTURE(silence,
                    "the process dies after every step, in every way") {
    const auto ways = cut_everywhere(ending::death, 1);
    MESSAGE(ways << " ways to kill the vtpmd of one small world");
    CHECK(ways > 256);
  }

  TEST_CASE_FIXTURE(silence, "the same seed plays the same world") {
    const auto kit = make_kit(engine_kind::model);
    world first{kit, 7};
    first.run();
    world second{kit, 7};
    second.run();
    CHECK(first.done().steps == second.done().steps);
    CHECK(first.done().answers == second.done().answers);
    CHECK(first.done().failed_writes == second.done().failed_writes);
    CHECK(first.done().cuts() == world::lives);
  }
}
