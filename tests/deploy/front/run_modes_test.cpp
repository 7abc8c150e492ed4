#include "deploy/front/run_modes.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <thread>

#include <sys/socket.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "deploy/unix_socket.hpp"

using namespace vtpm;
using namespace vtpm::deploy;

namespace {

const byte_vector get_random
  = {0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x7B, 0, 16};

result<byte_vector> echo(byte_view command) {
  return byte_vector{command.begin(), command.end()};
}

struct outcome {
  bool good;
  std::string why;
  byte_vector output;
};

/// Gives `stream` to `serve_stdio` in pieces of `step` octets.
outcome serve(const byte_vector& stream, std::size_t step,
              const transactor& run) {
  int pair[2];
  int back[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  REQUIRE(::pipe(back) == 0);
  const descriptor input{pair[0]};
  descriptor feed{pair[1]};
  const descriptor drain{back[0]};
  descriptor output{back[1]};
  std::thread feeder{[&] {
    for (std::size_t at = 0; at < stream.size(); at += step)
      ::send(feed.get(), stream.data() + at, std::min(step, stream.size() - at),
             MSG_NOSIGNAL);
    feed.reset();
  }};
  const auto done = serve_stdio(input.get(), output.get(), run);
  output.reset();
  feeder.join();
  outcome found{static_cast<bool>(done), done ? "" : done.error().text, {}};
  std::array<std::uint8_t, 4096> buffer;
  for (;;) {
    const auto count = ::read(drain.get(), buffer.data(), buffer.size());
    if (count <= 0)
      return found;
    found.output.insert(found.output.end(), buffer.begin(),
                        buffer.begin() + count);
  }
}

} // namespace

TEST_SUITE("deploy/front/run_modes") {
  TEST_CASE("standard input is served until it ends, however it is cut") {
    auto stream = get_random;
    stream.insert(stream.end(), get_random.begin(), get_random.end());
    for (std::size_t step = 1; step <= stream.size(); ++step) {
      CAPTURE(step);
      const auto found = serve(stream, step, echo);
      CHECK(found.good);
      CHECK(found.output == stream);
    }
    CHECK(serve({}, 1, echo).good);
  }

  TEST_CASE("an end inside a command is a problem") {
    for (std::size_t length = 1; length < get_random.size(); ++length) {
      CAPTURE(length);
      const byte_vector part{get_random.begin(),
                             get_random.begin()
                               + static_cast<std::ptrdiff_t>(length)};
      const auto found = serve(part, length, echo);
      CHECK(found.why == "the input ends inside a command");
      CHECK(found.output.empty());
    }
  }

  TEST_CASE("a malformed command is a problem, those before it are answered") {
    auto stream = get_random;
    stream.insert(stream.end(), {0x80, 0x01, 0, 0, 0, 9});
    const auto found = serve(stream, stream.size(), echo);
    CHECK_FALSE(found.good);
    CHECK(found.output == get_random);
  }

  TEST_CASE("a ring that fails is a problem") {
    const auto found = serve(get_random, get_random.size(), [](byte_view) {
      return result<byte_vector>{problem{"gone"}};
    });
    CHECK(found.why == "gone");
  }

  TEST_CASE("nobody who reads is a problem, not a signal") {
    int back[2];
    int pair[2];
    REQUIRE(::pipe(back) == 0);
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    const descriptor output{back[1]};
    const descriptor input{pair[0]};
    const descriptor feed{pair[1]};
    ::close(back[0]);
    REQUIRE(::send(feed.get(), get_random.data(), get_random.size(), 0) == 12);
    const auto previous = std::signal(SIGPIPE, SIG_IGN);
    const auto done = serve_stdio(input.get(), output.get(), echo);
    std::signal(SIGPIPE, previous);
    CHECK_FALSE(done);
  }
}
