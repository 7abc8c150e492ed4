#include "deploy/front/stream_listener.hpp"

#include <doctest/doctest.h>

#include "tests/xenio/scratch_directory.hpp"

using namespace vtpm::deploy;

TEST_SUITE("deploy/front/stream_listener") {
  TEST_CASE("loopback addresses are listened on, at a port of their own") {
    for (const std::string host : {"127.0.0.1", "127.9.9.9", "localhost"}) {
      CAPTURE(host);
      const auto listener = stream_listener::open(host + ":0");
      REQUIRE(listener);
      CHECK(listener->get() >= 0);
      CHECK(listener->name().starts_with(host + ":"));
      CHECK_FALSE(listener->name().ends_with(":0"));
      // The name says where: it is taken now.
      CHECK_FALSE(stream_listener::open(listener->name()));
    }
  }

  TEST_CASE("a TPM is not offered to the network") {
    for (const auto* address :
         {"0.0.0.0:0", "[::]:0", "192.0.2.1:0", "8.8.8.8:0"}) {
      CAPTURE(address);
      const auto listener = stream_listener::open(address);
      REQUIRE_FALSE(listener);
      CHECK(listener.error().text.find("loopback") != std::string::npos);
    }
  }

  TEST_CASE("what is no address is refused") {
    for (const auto* address :
         {"", ":", ":1", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
          "127.0.0.1:-1", "127.0.0.1:http", "::1:1", "unix:", "[]:1"}) {
      CAPTURE(address);
      CHECK_FALSE(stream_listener::open(address));
    }
  }

  TEST_CASE("a Unix socket keeps its name") {
    const vtpm::tests::scratch_directory directory;
    const auto address = "unix:" + (directory.path() / "s").string();
    const auto listener = stream_listener::open(address);
    REQUIRE(listener);
    CHECK(listener->name() == address);
    CHECK(std::filesystem::is_socket(directory.path() / "s"));
  }
}
