// Goal: a stock user of `connect` gets every answer, whatever happens to vtpmd.
// Method: a real hub and backend on a thread, frontends on this one.

#include "xenio/loopback/frontend.hpp"

#include <optional>
#include <thread>
#include <vector>

#include <poll.h>

#include <doctest/doctest.h>

#include "tests/xenio/loopback/served_hub.hpp"

using namespace vtpm;
using namespace vtpm::xenio;
using namespace std::chrono_literals;

namespace {

const auto request = byte_vector{1, 2, 3};
const auto response = byte_vector{3, 2, 1};

struct fixture {
  std::string socket_path() const {
    return directory.path() / "vtpmd.sock";
  }

  auto connect(domid domain = 7, std::uint32_t handle = 0) const {
    return loopback::connect(socket_path(), {domain, handle}, 10s);
  }

  tests::scratch_directory directory;
};

} // namespace

TEST_SUITE("xenio/loopback/frontend") {
  TEST_CASE_FIXTURE(fixture, "a request gets its response") {
    tests::served_hub vtpmd{socket_path()};
    auto guest = connect();
    REQUIRE_MESSAGE(guest, guest.error().detail);
    for (std::size_t size : {0u, 1u, 9u, 10u, 4087u, 4088u}) {
      CAPTURE(size);
      byte_vector request(size);
      for (std::size_t i = 0; i < size; ++i)
        request[i] = static_cast<std::uint8_t>(i * 7);
      auto response = (*guest)->transact(0, request, 10s);
      REQUIRE_MESSAGE(response, response.error().detail);
      CHECK(*response == byte_vector{request.rbegin(), request.rend()});
    }
  }

  TEST_CASE_FIXTURE(fixture, "the locality and nothing else goes with it") {
    tests::served_hub vtpmd{socket_path()};
    auto guest = connect();
    REQUIRE(guest);
    for (unsigned locality : {0u, 2u, 8u, 255u}) {
      REQUIRE(
        (*guest)->transact(static_cast<std::uint8_t>(locality), request, 10s));
      const auto seen
        = vtpmd.with_backend([](auto& backend) { return backend.last_header; });
      CHECK(seen
            == protocol::page_header{3, 1, static_cast<std::uint8_t>(locality),
                                     0, 0});
    }
  }

  TEST_CASE_FIXTURE(fixture, "many guests at once get their own responses") {
    tests::served_hub vtpmd{socket_path()};
    std::vector<std::thread> guests;
    std::atomic<int> right{0};
    for (domid domain = 1; domain <= 8; ++domain)
      guests.emplace_back([&, domain] {
        auto guest = connect(domain);
        for (std::uint8_t i = 0; guest && i < 50; ++i) {
          auto own = byte_vector{static_cast<std::uint8_t>(domain), i};
          auto answer = (*guest)->transact(0, own, 10s);
          right += answer && *answer == byte_vector{own.rbegin(), own.rend()};
        }
      });
    for (auto& guest : guests)
      guest.join();
    CHECK(right == 8 * 50);
  }

  // -- connecting -------------------------------------------------------------

  TEST_CASE_FIXTURE(fixture, "without a vtpmd there is no connection") {
    auto guest = connect();
    REQUIRE_FALSE(guest);
    CHECK(guest.error().code == errc::io);
    CHECK(guest.error().detail.find(socket_path()) != std::string::npos);
  }

  TEST_CASE_FIXTURE(fixture, "a refusal carries vtpmd's words") {
    tests::served_hub vtpmd{socket_path()};
    auto first = connect();
    REQUIRE(first);
    auto second = connect();
    REQUIRE_FALSE(second);
    CHECK(second.error().code == errc::refused);
    CHECK(second.error().detail.find("7/0") != std::string::npos);
    auto nameless = loopback::connect(socket_path(), {8, 0, "no uuid"}, 10s);
    REQUIRE_FALSE(nameless);
    CHECK(nameless.error().code == errc::refused);
  }

  TEST_CASE_FIXTURE(fixture, "a backend that refuses the device says so") {
    tests::served_hub vtpmd{socket_path()};
    vtpmd.with_backend([](auto& backend) {
      backend.is_refusing = true;
      return true;
    });
    auto guest = connect();
    REQUIRE_FALSE(guest);
    CHECK(guest.error().code == errc::refused);
  }

  TEST_CASE_FIXTURE(fixture, "one guest follows another without a gap") {
    tests::served_hub vtpmd{socket_path()};
    for (auto i = 0; i < 30; ++i) {
      auto guest = connect();
      REQUIRE_MESSAGE(guest, guest.error().detail);
      CHECK((*guest)->transact(0, request, 10s));
    }
  }

  TEST_CASE_FIXTURE(fixture, "a frontend that ends closes its device") {
    tests::served_hub vtpmd{socket_path()};
    {
      auto guest = connect();
      REQUIRE(guest);
    }
    CHECK(vtpmd.eventually([](auto& backend) { return backend.known() == 0; }));
    CHECK(vtpmd.with_backend([](auto& backend) { return backend.closes > 0; }));
  }

  // -- waiting ----------------------------------------------------------------

  TEST_CASE_FIXTURE(fixture, "a response is found without a ring") {
    tests::served_hub vtpmd{socket_path()};
    auto guest = connect();
    REQUIRE(guest);
    vtpmd.with_backend([](auto& backend) { return backend.is_silent = true; });
    for (auto i = 0; i < 3; ++i)
      CHECK(*(*guest)->transact(0, request, 10s) == response);
  }

  TEST_CASE_FIXTURE(fixture, "rings for nothing do not end a wait") {
    tests::served_hub vtpmd{socket_path()};
    auto guest = connect();
    REQUIRE(guest);
    vtpmd.with_backend([](auto& backend) { return backend.is_stuck = true; });
    std::thread late{[&] {
      for (auto i = 0; i < 100; ++i)
        vtpmd.with_backend([](auto& backend) {
          backend.notify_all();
          return true;
        });
      vtpmd.with_backend([](auto& backend) {
        backend.is_stuck = false;
        backend.look_at_all();
        return true;
      });
    }};
    auto answer = (*guest)->transact(0, request, 10s);
    late.join();
    REQUIRE(answer);
    CHECK(*answer == response);
  }

  TEST_CASE_FIXTURE(fixture, "a request without a response is cancelled") {
    tests::served_hub vtpmd{socket_path()};
    auto guest = connect();
    REQUIRE(guest);
    vtpmd.with_backend([](auto& backend) { return backend.is_stuck = true; });
    for (auto limit : {0ms, 1ms, 30ms}) {
      auto answer = (*guest)->transact(0, request, limit);
      REQUIRE_FALSE(answer);
      CHECK(answer.error().code == errc::timed_out);
    }
    // The page is not ours again until the backend has said so.
    auto early = (*guest)->submit(0, request);
    REQUIRE_FALSE(early);
    CHECK(early.error().code == errc::protocol);
    vtpmd.with_backend([](auto& backend) {
      backend.is_stuck = false;
      backend.look_at_all();
      return true;
    });
    CHECK(*(*guest)->transact(0, request, 10s) == response);
  }

  TEST_CASE_FIXTURE(fixture, "a request that is given back is no response") {
    tests::served_hub vtpmd{socket_path()};
    auto guest = connect();
    REQUIRE(guest);
    vtpmd.with_backend(
      [](auto& backend) { return backend.is_aborting = true; });
    auto answer = (*guest)->transact(0, request, 10s);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == errc::cancelled);
  }

  TEST_CASE_FIXTURE(fixture, "a request that does not fit is not sent") {
    tests::served_hub vtpmd{socket_path()};
    auto guest = connect();
    REQUIRE(guest);
    auto answer = (*guest)->transact(0, byte_vector(4089), 10s);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == errc::protocol);
    CHECK(*(*guest)->transact(0, request, 10s) == response);
  }

  // -- without waiting --------------------------------------------------------

  TEST_CASE_FIXTURE(fixture, "a response can be polled for") {
    tests::served_hub vtpmd{socket_path()};
    auto guest = connect();
    REQUIRE(guest);
    for (auto round = 0; round < 5; ++round) {
      REQUIRE((*guest)->submit(0, request));
      std::optional<frontend::completion> found;
      while (!found) {
        pollfd state = {(*guest)->descriptor(), POLLIN, 0};
        REQUIRE(::poll(&state, 1, 10'000) == 1);
        auto polled = (*guest)->poll();
        REQUIRE(polled);
        found = *std::move(polled);
      }
      CHECK(found->finished);
      CHECK(found->response == response);
    }
  }

  TEST_CASE_FIXTURE(fixture, "a cancelled request is polled as that") {
    tests::served_hub vtpmd{socket_path()};
    auto guest = connect();
    REQUIRE(guest);
    vtpmd.with_backend([](auto& backend) { return backend.is_stuck = true; });
    REQUIRE((*guest)->submit(0, request));
    auto waiting = (*guest)->poll();
    REQUIRE(waiting);
    CHECK_FALSE(*waiting);
    REQUIRE(
      vtpmd.eventually([](auto& backend) { return backend.submits_seen > 0; }));
    vtpmd.with_backend(
      [](auto& backend) { return !(backend.is_stuck = false); });
    (*guest)->cancel();
    pollfd state = {(*guest)->descriptor(), POLLIN, 0};
    REQUIRE(::poll(&state, 1, 10'000) == 1);
    auto polled = (*guest)->poll();
    REQUIRE(polled);
    REQUIRE(*polled);
    CHECK_FALSE((*polled)->finished);
    CHECK((*polled)->response.empty());
  }

  // -- when vtpmd restarts ----------------------------------------------------

  TEST_CASE_FIXTURE(fixture, "a request survives vtpmd in the page") {
    std::optional<tests::served_hub> vtpmd{std::in_place, socket_path()};
    auto guest = connect();
    REQUIRE(guest);
    for (auto round = 0; round < 3; ++round) {
      vtpmd->with_backend(
        [](auto& backend) { return backend.is_stuck = true; });
      std::thread restart{[&] {
        CHECK(vtpmd->eventually(
          [](auto& backend) { return backend.submits_seen > 0; }));
        vtpmd.reset();
        std::this_thread::sleep_for(20ms);
        vtpmd.emplace(socket_path());
      }};
      auto answer = (*guest)->transact(2, request, 20s);
      restart.join();
      REQUIRE_MESSAGE(answer, answer.error().detail);
      CHECK(*answer == response);
    }
  }

  TEST_CASE_FIXTURE(fixture, "between two requests vtpmd may restart") {
    std::optional<tests::served_hub> vtpmd{std::in_place, socket_path()};
    auto guest = connect();
    REQUIRE(guest);
    for (auto round = 0; round < 3; ++round) {
      vtpmd.reset();
      auto lost = (*guest)->poll();
      REQUIRE(lost);
      vtpmd.emplace(socket_path());
      auto answer = (*guest)->transact(0, request, 20s);
      REQUIRE_MESSAGE(answer, answer.error().detail);
      CHECK(*answer == response);
    }
  }

  TEST_CASE_FIXTURE(fixture, "a vtpmd that stays away is waited for in vain") {
    std::optional<tests::served_hub> vtpmd{std::in_place, socket_path()};
    auto guest = connect();
    REQUIRE(guest);
    vtpmd.reset();
    auto submitted = (*guest)->submit(0, request);
    REQUIRE_FALSE(submitted);
    CHECK(submitted.error().code == errc::gone);
    auto polled = (*guest)->poll();
    REQUIRE_FALSE(polled);
    CHECK(polled.error().code == errc::gone);
    CHECK_FALSE((*guest)->transact(0, request, 50ms));
    // It comes back after all; the request that was given up is not answered.
    vtpmd.emplace(socket_path());
    auto answer = (*guest)->transact(0, byte_vector{7, 8}, 20s);
    REQUIRE_MESSAGE(answer, answer.error().detail);
    CHECK(*answer == byte_vector{8, 7});
  }

  TEST_CASE_FIXTURE(fixture, "a restarted vtpmd may not want us any more") {
    std::optional<tests::served_hub> vtpmd{std::in_place, socket_path()};
    auto guest = connect();
    REQUIRE(guest);
    vtpmd.reset();
    vtpmd.emplace(socket_path(),
                  std::vector{loopback::claim_rule{4242, {}, {}, {}}});
    auto answer = (*guest)->transact(0, request, 20s);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == errc::refused);
  }

  TEST_CASE_FIXTURE(fixture, "a backend that forgot us is connected again") {
    tests::served_hub vtpmd{socket_path()};
    auto guest = connect();
    REQUIRE(guest);
    vtpmd.with_backend([](auto& backend) {
      backend.disconnect_all();
      return true;
    });
    auto answer = (*guest)->transact(0, request, 20s);
    REQUIRE_MESSAGE(answer, answer.error().detail);
    CHECK(*answer == response);
  }
}
