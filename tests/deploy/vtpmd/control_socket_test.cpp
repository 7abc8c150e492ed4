#include "deploy/vtpmd/control_socket.hpp"

#include <list>
#include <utility>
#include <vector>

#include <sys/stat.h>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "deploy/vtpmd/control_request.hpp"
#include "tests/deploy/socket_client.hpp"
#include "tests/xenio/scratch_directory.hpp"
#include "tests/xenio/test_loop.hpp"

using namespace std::chrono_literals;
using namespace vtpm;
using namespace vtpm::deploy;
using tests::socket_client;

namespace {

/// A request that the handler holds.
struct held_request {
  std::string text;
  control_socket::responder answer;
};

/// A control socket whose handler echoes, or holds what it gets.
struct fixture {
  void listen(control_limits limits = {}) {
    auto listening = control_socket::listen(
      loop, path,
      [this](std::string text, control_socket::responder answer) {
        if (echo)
          answer("<" + text + ">");
        else
          held.push_back({std::move(text), std::move(answer)});
      },
      limits);
    REQUIRE(listening);
    server = std::move(*listening);
  }

  /// Lets the server accept what has connected.
  void settle() {
    loop.settle();
  }

  void wait_for_end(socket_client& client) {
    REQUIRE(loop.turn_until([&client] { return client.ended(); }));
  }

  void wait_for_held(std::size_t count) {
    REQUIRE(loop.turn_until([this, count] { return held.size() == count; }));
  }

  tests::scratch_directory directory;
  std::string path = (directory.path() / "control").string();
  tests::test_loop loop;
  bool echo = true;
  std::vector<held_request> held;
  std::unique_ptr<control_socket> server;
};

} // namespace

TEST_SUITE("deploy/vtpmd/control_socket") {
  TEST_CASE_FIXTURE(fixture, "a request line gets a reply line and an end") {
    listen();
    socket_client client{path};
    client.send("status\n");
    wait_for_end(client);
    CHECK(client.received() == "<status>\n");
    CHECK(server->connections() == 0);
  }

  TEST_CASE_FIXTURE(fixture, "a request may come octet by octet") {
    listen();
    socket_client client{path};
    for (const auto* one = "slow\n"; *one != '\0'; ++one) {
      settle();
      CHECK_FALSE(client.ended());
      client.send({one, 1});
    }
    wait_for_end(client);
    CHECK(client.received() == "<slow>\n");
  }

  TEST_CASE_FIXTURE(fixture, "what follows the line feed is ignored") {
    listen();
    socket_client client{path};
    client.send("one\ntwo\n");
    wait_for_end(client);
    CHECK(client.received() == "<one>\n");
  }

  TEST_CASE_FIXTURE(fixture, "a client that only listens on gets its reply") {
    echo = false;
    listen();
    socket_client client{path};
    client.send("q\n");
    client.finish();
    wait_for_held(1);
    settle();
    held[0].answer("late");
    wait_for_end(client);
    CHECK(client.received() == "late\n");
  }

  TEST_CASE_FIXTURE(fixture, "two are served at a time, in any order") {
    echo = false;
    listen();
    socket_client first{path};
    socket_client second{path};
    first.send("1\n");
    second.send("2\n");
    wait_for_held(2);
    for (auto& [text, answer] : held)
      if (text == "2")
        answer("second");
    wait_for_end(second);
    CHECK(second.received() == "second\n");
    CHECK_FALSE(first.ended());
    for (auto& [text, answer] : held)
      if (text == "1")
        answer("first");
    wait_for_end(first);
    CHECK(first.received() == "first\n");
  }

  TEST_CASE_FIXTURE(fixture, "only the first answer counts") {
    echo = false;
    listen();
    socket_client client{path};
    client.send("q\n");
    wait_for_held(1);
    held[0].answer("one");
    held[0].answer("two");
    wait_for_end(client);
    CHECK(client.received() == "one\n");
  }

  TEST_CASE_FIXTURE(fixture, "a lost request is told to the client") {
    echo = false;
    listen();
    socket_client client{path};
    client.send("q\n");
    wait_for_held(1);
    held.clear();
    wait_for_end(client);
    CHECK_FALSE(parse_control_reply(client.received()));
    CHECK(client.received().find("did not carry out") != std::string::npos);
  }

  TEST_CASE_FIXTURE(fixture, "the longest request passes, a longer one not") {
    listen();
    const std::string longest(control_limits{}.request_size_max, 'x');
    socket_client good{path};
    good.send(longest + '\n');
    wait_for_end(good);
    CHECK(good.received() == "<" + longest + ">\n");
    for (const auto& text :
         {longest + "x\n", longest + "x", std::string(100'000, 'x')}) {
      CAPTURE(text.size());
      socket_client bad{path};
      bad.send(text);
      wait_for_end(bad);
      CHECK(bad.received()
            == control_failure("the request is too long") + '\n');
    }
  }

  TEST_CASE_FIXTURE(fixture, "an end before the line feed is no request") {
    echo = false;
    listen();
    socket_client client{path};
    client.send("shutdown");
    client.finish();
    wait_for_end(client);
    CHECK(client.received().empty());
    CHECK(held.empty());
  }

  TEST_CASE_FIXTURE(fixture, "a silent client is dropped, others are not") {
    echo = false;
    listen({.patience = 30ms});
    socket_client silent{path};
    socket_client half{path};
    socket_client asking{path};
    half.send("sta");
    asking.send("q\n");
    wait_for_end(silent);
    wait_for_end(half);
    CHECK(silent.received().empty());
    CHECK(half.received().empty());
    // The handler may take as long as it likes.
    REQUIRE(held.size() == 1);
    CHECK_FALSE(asking.ended());
    held[0].answer("still here");
    wait_for_end(asking);
    CHECK(asking.received() == "still here\n");
  }

  TEST_CASE_FIXTURE(fixture, "a client that feeds octets cannot buy time") {
    listen({.patience = 50ms});
    socket_client client{path};
    const auto dropped = loop.turn_until([&client] {
      if (!client.ended())
        client.send("x");
      return client.ended();
    });
    CHECK(dropped);
  }

  TEST_CASE_FIXTURE(fixture, "a long reply goes out as the client reads") {
    echo = false;
    listen();
    socket_client slow{path};
    slow.send("q\n");
    wait_for_held(1);
    const std::string reply(3'000'000, 'r');
    held[0].answer(reply);
    settle();
    CHECK(server->connections() == 1);
    // It keeps nobody else waiting.
    echo = true;
    socket_client quick{path};
    quick.send("q\n");
    wait_for_end(quick);
    CHECK(quick.received() == "<q>\n");
    wait_for_end(slow);
    CHECK(slow.received() == reply + '\n');
  }

  TEST_CASE_FIXTURE(fixture, "an unread reply keeps the loop idle") {
    echo = false;
    listen();
    socket_client slow{path};
    slow.send("q\n");
    wait_for_held(1);
    held[0].answer(std::string(3'000'000, 'r'));
    settle();
    CHECK(loop.turn(0ms) == 0);
  }

  TEST_CASE_FIXTURE(fixture, "a client that never reads is dropped") {
    echo = false;
    listen({.patience = 30ms});
    socket_client stuck{path};
    stuck.send("q\n");
    wait_for_held(1);
    held[0].answer(std::string(3'000'000, 'r'));
    CHECK(loop.turn_until([this] { return server->connections() == 0; }));
  }

  TEST_CASE_FIXTURE(fixture, "a flood is told so and leaves no trace") {
    listen({.connections_max = 3});
    std::list<socket_client> taken;
    for (auto i = 0; i < 3; ++i)
      taken.emplace_back(path);
    settle();
    CHECK(server->connections() == 3);
    for (auto i = 0; i < 50; ++i) {
      socket_client late{path};
      wait_for_end(late);
      CHECK_FALSE(parse_control_reply(late.received()));
      CHECK(late.received().find("too many") != std::string::npos);
    }
    CHECK(server->connections() == 3);
    taken.front().send("q\n");
    wait_for_end(taken.front());
    CHECK(taken.front().received() == "<q>\n");
    socket_client next{path};
    next.send("q\n");
    wait_for_end(next);
    CHECK(next.received() == "<q>\n");
  }

  TEST_CASE_FIXTURE(fixture, "a client that goes is forgotten at every stage") {
    echo = false;
    listen();
    socket_client silent{path};
    socket_client asking{path};
    asking.send("q\n");
    wait_for_held(1);
    CHECK(server->connections() == 2);
    silent.close();
    asking.close();
    CHECK(loop.turn_until([this] { return server->connections() == 0; }));
    // Its place may have been taken meanwhile.
    socket_client next{path};
    next.send("n\n");
    wait_for_held(2);
    held[0].answer("for nobody");
    held[1].answer("for next");
    wait_for_end(next);
    CHECK(next.received() == "for next\n");
  }

  TEST_CASE_FIXTURE(fixture, "the end of the server ends its connections") {
    echo = false;
    listen();
    socket_client asking{path};
    asking.send("q\n");
    wait_for_held(1);
    server.reset();
    CHECK(loop.watched() == 0);
    CHECK(asking.ended());
    CHECK(asking.received().empty());
    held[0].answer("too late");
    struct stat found;
    CHECK(::stat(path.c_str(), &found) != 0);
  }

  TEST_CASE_FIXTURE(fixture, "a handler may end the server") {
    auto listening = control_socket::listen(
      loop, path, [this](std::string, control_socket::responder answer) {
        answer("bye");
        server.reset();
      });
    REQUIRE(listening);
    server = std::move(*listening);
    socket_client first{path};
    socket_client second{path};
    first.send("q\n");
    second.send("q\n");
    wait_for_end(first);
    wait_for_end(second);
    CHECK(first.received() + second.received() == "bye\n");
  }

  TEST_CASE_FIXTURE(fixture, "only the owner may connect") {
    listen();
    struct stat found;
    REQUIRE(::stat(path.c_str(), &found) == 0);
    CHECK((found.st_mode & 07777) == 0600);
  }
}
