// Goal: neither crowds, nor strangers, nor the dying keep honest guests out.

#include <csignal>
#include <vector>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <doctest/doctest.h>

#include "tests/xenio/loopback/hostile_fixture.hpp"

using namespace vtpm;
using namespace vtpm::xenio;
using tests::hostile_fixture;
using tests::ring_guest;
namespace wire = loopback::wire;

namespace {

const auto request = byte_vector{1, 2, 3};

} // namespace

TEST_SUITE("xenio/loopback/hostile_process") {
  TEST_CASE_FIXTURE(hostile_fixture, "whoever only connects keeps nobody out") {
    std::vector<loopback::raw_frontend> crowd;
    for (auto i = 0; i < 1000; ++i) {
      auto guest = loopback::raw_frontend::open(socket_path());
      if (guest)
        crowd.push_back(*std::move(guest));
      if (i % 100 == 0)
        loop.settle();
    }
    loop.settle();
    CHECK(loop.watched() <= 256 + 4);
    CHECK(claim(7).is_accepted());
    crowd.clear();
  }

  TEST_CASE_FIXTURE(hostile_fixture,
                    "a most of frontends holds under a flood") {
    restart({}, {51});
    {
      std::vector<loopback::raw_frontend> crowd;
      auto accepted = 0;
      for (domid domain = 2; domain <= 200; ++domain) {
        crowd.push_back(claim(domain));
        accepted += crowd.back().is_accepted() ? 1 : 0;
      }
      CHECK(accepted == 50);
      CHECK(backend->known() == 51);
    }
    loop.settle();
    CHECK(backend->known() == 1);
  }

  TEST_CASE_FIXTURE(hostile_fixture,
                    "no descriptors left is no reason to spin") {
    rlimit limit = {};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    {
      std::vector<loopback::raw_frontend> crowd;
      for (auto i = 0; i < 20; ++i)
        crowd.push_back(open());
      auto tight = limit;
      tight.rlim_cur = tests::open_descriptors();
      REQUIRE(::setrlimit(RLIMIT_NOFILE, &tight) == 0);
      const auto turns = loop.settle();
      REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
      CHECK(turns < 1000);
      CHECK_FALSE(crowd.back().update());
    }
    loop.settle();
  }

  TEST_CASE_FIXTURE(hostile_fixture,
                    "a process killed at any step leaves nothing") {
    for (auto steps = 0; steps <= 8; ++steps) {
      CAPTURE(steps);
      const auto child = ::fork();
      REQUIRE(child >= 0);
      if (child == 0) {
        // What the parent has open must not live on here.
        auto guest = loopback::raw_frontend::open(socket_path());
        auto page = loopback::guest_page::make();
        auto bell = loopback::make_doorbell();
        auto step = 0;
        const auto next = [&] {
          if (step++ == steps)
            ::raise(SIGKILL);
        };
        next();
        (void)guest->send(wire::encode(wire::claim{1, 7, 0, default_uuid}));
        next();
        (void)guest->offer_page(1, (*page)->file());
        next();
        (void)guest->offer_doorbell(2, bell->far_end.get());
        next();
        (void)guest->write("ring-ref", "1");
        (void)guest->write("event-channel", "2");
        next();
        (void)guest->write_state(xenbus_state::initialised);
        next();
        (void)place_request(**page, 0, request);
        next();
        loopback::ring(bell->near_end.get());
        next();
        (void)guest->write_state(xenbus_state::closing);
        next();
        ::raise(SIGKILL);
      }
      auto status = 0;
      // Half of the rounds the hub hears of it all at once, half while it runs.
      if (steps % 2 == 0)
        while (::waitpid(child, &status, WNOHANG) == 0)
          loop.turn(std::chrono::milliseconds{1});
      else
        REQUIRE(::waitpid(child, &status, 0) == child);
      CHECK(WIFSIGNALED(status));
      loop.settle();
      CHECK(backend->known() == 1);
      CHECK(node("/local/domain/7") == std::nullopt);
    }
  }

  TEST_CASE_FIXTURE(hostile_fixture,
                    "another user may claim only what a rule says") {
    if (::geteuid() != 0) {
      MESSAGE("skipped: only root can be another user");
      return;
    }
    constexpr uid_t nobody = 65534;
    const auto claim_as_nobody = [this](domid domain) {
      REQUIRE(::chmod(socket_path().c_str(), 0666) == 0);
      REQUIRE(::chmod(directory.path().c_str(), 0755) == 0);
      const auto child = ::fork();
      REQUIRE(child >= 0);
      if (child == 0) {
        if (::setuid(nobody) != 0)
          ::_exit(3);
        auto guest = loopback::raw_frontend::open(socket_path());
        if (!guest)
          ::_exit(4);
        auto claimed
          = guest->claim({domain, 0, default_uuid}, std::chrono::seconds{10});
        const auto& said = guest->refusal();
        ::_exit(claimed                                              ? 0
                  : said && said->code == wire::refusal_code::denied ? 1
                                                                     : 2);
      }
      auto status = 0;
      while (::waitpid(child, &status, WNOHANG) == 0)
        loop.turn(std::chrono::milliseconds{1});
      loop.settle();
      return WEXITSTATUS(status);
    };
    CHECK(claim_as_nobody(7) == 1);
    restart({{::geteuid(), {}, {}, {}}, {nobody, 7, {}, {}}});
    CHECK(claim_as_nobody(7) == 0);
    CHECK(claim_as_nobody(8) == 1);
    // Root is not special: without a rule of its own it has no frontend.
    honest.reset();
    start({{nobody, {}, {}, {}}});
    CHECK_FALSE(claim(7).is_accepted());
    restart();
  }
}
