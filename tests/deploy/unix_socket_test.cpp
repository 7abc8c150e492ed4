#include "deploy/unix_socket.hpp"

#include <fstream>

#include <sys/socket.h>
#include <sys/un.h>

#include <doctest/doctest.h>

#include "tests/xenio/scratch_directory.hpp"

using namespace vtpm::deploy;

namespace {

struct fixture {
  bool exists() const {
    return std::filesystem::exists(path);
  }

  vtpm::tests::scratch_directory directory;
  std::string path = (directory.path() / "socket").string();
};

} // namespace

TEST_SUITE("deploy/unix_socket") {
  TEST_CASE_FIXTURE(fixture, "the name comes and goes with the listener") {
    {
      auto listener = unix_listener::open(path, 0600);
      REQUIRE(listener);
      CHECK(connect_unix(path));
      // Moving is no end.
      const auto moved = std::move(*listener);
      CHECK(connect_unix(path));
    }
    CHECK_FALSE(exists());
    CHECK_FALSE(connect_unix(path));
  }

  TEST_CASE_FIXTURE(fixture, "a live socket is refused and stays alive") {
    const auto first = unix_listener::open(path, 0600);
    REQUIRE(first);
    const auto second = unix_listener::open(path, 0600);
    REQUIRE_FALSE(second);
    CHECK(second.error().text.find(path) != std::string::npos);
    CHECK(connect_unix(path));
  }

  TEST_CASE_FIXTURE(fixture, "a stale socket is replaced") {
    {
      // A process that died leaves its name behind.
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      path.copy(address.sun_path, path.size());
      const descriptor dead{::socket(AF_UNIX, SOCK_STREAM, 0)};
      REQUIRE(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&address),
                     sizeof(address))
              == 0);
    }
    REQUIRE(exists());
    CHECK_FALSE(connect_unix(path));
    const auto listener = unix_listener::open(path, 0600);
    REQUIRE(listener);
    CHECK(connect_unix(path));
  }

  TEST_CASE_FIXTURE(fixture, "a file of another kind is refused and kept") {
    std::ofstream{path} << "precious";
    const auto listener = unix_listener::open(path, 0600);
    REQUIRE_FALSE(listener);
    CHECK(listener.error().text.find("not a socket") != std::string::npos);
    CHECK(std::filesystem::file_size(path) == 8);
  }

  TEST_CASE_FIXTURE(fixture, "a listener does not remove another's name") {
    auto first = unix_listener::open(path, 0600);
    REQUIRE(first);
    REQUIRE(std::filesystem::remove(path));
    const auto second = unix_listener::open(path, 0600);
    REQUIRE(second);
    { const auto ended = std::move(*first); }
    CHECK(connect_unix(path));
  }

  TEST_CASE_FIXTURE(fixture, "a path must fit into an address") {
    const std::string longest(sizeof(sockaddr_un::sun_path) - 1, 'x');
    for (const auto& wrong : {std::string{}, longest + 'x'}) {
      CAPTURE(wrong.size());
      CHECK_FALSE(unix_listener::open(wrong, 0600));
      CHECK_FALSE(connect_unix(wrong));
    }
    CHECK_FALSE(unix_listener::open("/nonexistent/socket", 0600));
  }

  TEST_CASE_FIXTURE(fixture, "nobody but those meant may connect") {
    for (const mode_t mode : {0600u, 0660u}) {
      const auto previous = ::umask(0);
      const auto listener = unix_listener::open(path, mode);
      ::umask(previous);
      REQUIRE(listener);
      struct stat found;
      REQUIRE(::stat(path.c_str(), &found) == 0);
      CHECK((found.st_mode & 07777) == mode);
    }
  }
}
