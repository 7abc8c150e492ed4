#include "deploy/front/stream_server.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>

#include <poll.h>
#include <sys/eventfd.h>

#include <doctest/doctest.h>

#include "protocol/big_endian.hpp"
#include "tests/deploy/socket_client.hpp"
#include "tests/xenio/scratch_directory.hpp"

using namespace vtpm;
using namespace vtpm::deploy;
using tests::socket_client;

namespace {

std::string command_of(char fill, std::size_t size = 10) {
  std::string text(size, fill);
  const auto wire = static_cast<std::uint32_t>(size);
  protocol::store_be(reinterpret_cast<std::uint8_t*>(text.data()) + 2, wire);
  return text;
}

/// A ring that answers with the command itself; can be stopped and broken.
class echo_ring {
public:
  transactor run() {
    return [this](byte_view command) -> result<byte_vector> {
      std::unique_lock guard{mutex_};
      seen_ += static_cast<char>(command[0]);
      changed_.notify_all();
      changed_.wait(guard, [this] { return !held_; });
      if (broken_)
        return problem{"the ring is gone"};
      return byte_vector{command.begin(), command.end()};
    };
  }

  void hold(bool held) {
    const std::lock_guard guard{mutex_};
    held_ = held;
    changed_.notify_all();
  }

  void break_down() {
    const std::lock_guard guard{mutex_};
    broken_ = true;
  }

  /// Waits until so many commands have reached the ring.
  void wait_for(std::size_t count) {
    std::unique_lock guard{mutex_};
    REQUIRE(changed_.wait_for(guard, std::chrono::seconds{10},
                              [this, count] { return seen_.size() >= count; }));
  }

  /// Returns the first octet of each command, in order.
  std::string seen() {
    const std::lock_guard guard{mutex_};
    return seen_;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string seen_;
  bool held_ = false;
  bool broken_ = false;
};

/// A server on a thread of its own.
struct fixture {
  fixture() {
    auto listener = stream_listener::open("unix:" + path);
    REQUIRE(listener);
    thread = std::thread{[this, opened = std::move(*listener)]() mutable {
      stream_server server{std::move(opened), ring.run()};
      const auto ended = server.run(stop.get());
      outcome = ended ? "stopped" : ended.error().text;
    }};
  }

  ~fixture() {
    ring.hold(false);
    finish();
  }

  void finish() {
    if (!thread.joinable())
      return;
    ::eventfd_write(stop.get(), 1);
    thread.join();
  }

  /// Waits until the client has so many octets.
  static void expect(socket_client& client, const std::string& wanted) {
    const auto deadline
      = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    while (client.received().size() < wanted.size()
           && std::chrono::steady_clock::now() < deadline)
      if (!client.receive())
        std::this_thread::yield();
    CHECK(client.received() == wanted);
  }

  static void expect_end(socket_client& client) {
    const auto deadline
      = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    while (!client.ended() && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
    CHECK(client.ended());
  }

  /// Waits until the server has seen all that clients did before: it accepts
  /// and reads them in the order in which they came.
  void settle() {
    socket_client last{path};
    last.send(std::string(10, '\xFF'));
    expect_end(last);
  }

  tests::scratch_directory directory;
  std::string path = (directory.path() / "tpm").string();
  echo_ring ring;
  descriptor stop{::eventfd(0, EFD_CLOEXEC)};
  std::string outcome;
  std::thread thread;
};

} // namespace

TEST_SUITE("deploy/front/stream_server") {
  TEST_CASE_FIXTURE(fixture, "a connection carries many commands") {
    socket_client client{path};
    std::string all;
    for (const auto size : {10u, 11u, 500u, 4088u}) {
      const auto command = command_of('a', size);
      client.send(command);
      all += command;
      expect(client, all);
    }
  }

  TEST_CASE_FIXTURE(fixture, "commands may be cut anywhere, or come at once") {
    socket_client client{path};
    const auto both = command_of('a') + command_of('b', 17);
    for (const auto& octet : both)
      client.send({&octet, 1});
    expect(client, both);
    client.send(both + both);
    expect(client, both + both + both);
  }

  TEST_CASE_FIXTURE(fixture, "an idle connection blocks nobody") {
    socket_client idle{path};
    idle.send(command_of('a'));
    expect(idle, command_of('a'));
    socket_client half{path};
    half.send(command_of('h').substr(0, 9));
    socket_client busy{path};
    for (auto i = 0; i < 20; ++i)
      busy.send(command_of('b'));
    std::string all;
    for (auto i = 0; i < 20; ++i)
      all += command_of('b');
    expect(busy, all);
  }

  TEST_CASE_FIXTURE(fixture, "one who asks all the time waits its turn") {
    ring.hold(true);
    socket_client greedy{path};
    for (auto i = 0; i < 5; ++i)
      greedy.send(command_of('g'));
    ring.wait_for(1);
    socket_client modest{path};
    modest.send(command_of('m'));
    settle();
    ring.hold(false);
    expect(modest, command_of('m'));
    ring.wait_for(6);
    CHECK(ring.seen().substr(0, 2) == "gm");
  }

  TEST_CASE_FIXTURE(fixture, "a bad size ends that connection alone") {
    socket_client good{path};
    for (const auto size : {0u, 9u, 4089u, 0xFFFFFFFFu}) {
      CAPTURE(size);
      auto command = command_of('x');
      protocol::store_be(reinterpret_cast<std::uint8_t*>(command.data()) + 2,
                         std::uint32_t{size});
      socket_client bad{path};
      bad.send(command);
      expect_end(bad);
      CHECK(bad.received().empty());
    }
    good.send(command_of('g'));
    expect(good, command_of('g'));
    CHECK(ring.seen() == "g");
  }

  TEST_CASE_FIXTURE(fixture, "a client that leaves takes its command along") {
    ring.hold(true);
    socket_client first{path};
    first.send(command_of('1'));
    ring.wait_for(1);
    {
      socket_client second{path};
      second.send(command_of('2'));
      settle();
    }
    settle();
    first.close();
    ring.hold(false);
    socket_client third{path};
    third.send(command_of('3'));
    expect(third, command_of('3'));
    CHECK(ring.seen() == "13");
  }

  TEST_CASE_FIXTURE(fixture, "one who only listens on gets what it asked") {
    socket_client client{path};
    client.send(command_of('a') + command_of('b'));
    client.finish();
    expect(client, command_of('a') + command_of('b'));
    expect_end(client);
  }

  TEST_CASE_FIXTURE(fixture, "an end inside a command is an end") {
    socket_client client{path};
    client.send(command_of('a') + command_of('b').substr(0, 9));
    client.finish();
    expect_end(client);
    CHECK(client.received() == command_of('a'));
  }

  TEST_CASE_FIXTURE(fixture, "more connections than places are all served") {
    std::list<socket_client> clients;
    // The rest waits in the kernel's queue, whose length is 16.
    for (std::size_t i = 0; i < stream_server::connections_max + 10; ++i)
      clients.emplace_back(path);
    for (auto& client : clients)
      client.send(command_of('c'));
    while (!clients.empty()) {
      expect(clients.front(), command_of('c'));
      clients.pop_front();
    }
  }

  TEST_CASE_FIXTURE(fixture, "a ring that fails ends the server") {
    ring.break_down();
    socket_client client{path};
    client.send(command_of('a'));
    expect_end(client);
    thread.join();
    CHECK(outcome == "the ring is gone");
    CHECK_FALSE(std::filesystem::exists(path));
  }

  TEST_CASE_FIXTURE(fixture, "asked to stop it stops and takes its name away") {
    socket_client client{path};
    finish();
    CHECK(outcome == "stopped");
    CHECK(client.ended());
    CHECK_FALSE(std::filesystem::exists(path));
  }
}
