// Goal: a stock user of `connect` gets every answer, whatever happens to vtpmd.
// Method: a real hub and backend on a thread, frontends on this one.

#include "xenio/loopback/frontend.hpp"

#include <optional>
#include <vector>

#include <doctest/doctest.h>

#include "tests/xenio/loopback/served_hub.hpp"

using namespace vtpm;
using namespace vtpm::xenio;
using namespace std::chrono_literals;

namespace {

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
    for (std::size_t size : {0, 1, 9, 10, 4087, 4088}) {
      CAPTURE(size);
      byte_vector request(size);
      for (std::size_t i = 0; i < size; ++i)
        request[i] = static_cast<std::uint8_t>(i * 7);
      auto response = (*guest)->transact(0, request, 10s);
      REQUIRE_MESSAGE(response, response.error().detail);
      CHECK(*response == byte_vector{request.rbegin(), request.rend()});
    }
  }
}
