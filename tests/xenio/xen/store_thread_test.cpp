// Goal: XenStore from a thread that may wait for nobody.
// Method: the real helper thread on a xenstored that a test plays: it answers,
// hangs, floods and dies at will.

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/xenio/test_loop.hpp"
#include "tests/xenio/xen/scripted_xenstored.hpp"
#include "xenio/xen/store_thread.hpp"

using namespace vtpm;
using namespace vtpm::xenio;
using tests::scripted_xenstored;
using xen::store_exchange;
using xen::store_thread;

namespace {

using words = std::vector<std::string>;

struct fixture {
  /// Starts the helper.
  fixture() {
    auto started = store_thread::start(loop, server->connect(), farewell);
    REQUIRE(started);
    tree = *std::move(started);
  }

  ~fixture() {
    server->go_on();
    tree.reset();
    // A helper that was left behind ends, too.
    server->await_closed_links();
  }

  /// Long enough never to pass in a test that does not want it to.
  static constexpr auto farewell = std::chrono::milliseconds{60'000};

  /// Watches, and notes what is reported.
  store::watch_id watch(const std::string& path) {
    return tree->watch(path, [this, path](const std::string& changed) {
      log.push_back(path + ": " + changed);
    });
  }

  void read(const std::string& path) {
    tree->read({path}, [this, path](const std::vector<store::value>& values) {
      log.push_back(path + " is " + values.at(0).value_or("absent"));
    });
  }

  bool logged(std::size_t lines) {
    return loop.turn_until([&] { return log.size() >= lines; });
  }

  tests::test_loop loop;
  std::shared_ptr<scripted_xenstored> server
    = std::make_shared<scripted_xenstored>();
  std::unique_ptr<store_thread> tree;
  words log;
};

} // namespace

TEST_SUITE("xenio/xen/store_thread") {
  TEST_CASE_FIXTURE(fixture, "requests are made and answered in their order") {
    server->set("dir/a", "1");
    tree->write("b", "2", [&](bool worked) {
      log.push_back(worked ? "written" : "not written");
    });
    tree->read({"b", "dir/a", "c"}, [&](std::vector<store::value> values) {
      REQUIRE(values.size() == 3);
      CHECK(values[0] == "2");
      CHECK(values[1] == "1");
      CHECK_FALSE(values[2]);
      log.push_back("read");
    });
    tree->list("dir", [&](std::vector<std::string> names) {
      CHECK(names == words{"a"});
      log.push_back("listed");
    });
    tree->remove("b", [&](bool worked) {
      log.push_back(worked ? "removed" : "not removed");
    });
    read("b");
    REQUIRE(logged(5));
    CHECK(log == words{"written", "read", "listed", "removed", "b is absent"});
    CHECK(server->calls()
          == words{"write b=2", "read b", "read dir/a", "read c", "list dir",
                   "remove b", "read b"});
  }

  TEST_CASE_FIXTURE(fixture, "a watch reports itself first, then changes") {
    watch("device");
    REQUIRE(logged(1));
    server->set("device/0/state", "1");
    server->set("other", "1");
    server->set("device/0/ring-ref", "8");
    REQUIRE(logged(3));
    CHECK(log
          == words{"device: device", "device: device/0/state",
                   "device: device/0/ring-ref"});
  }

  TEST_CASE_FIXTURE(fixture, "answers and changes keep their order") {
    watch("x");
    tree->write("x", "1", {});
    read("x");
    // What the write changed is reported before or after the answer.
    auto answered = [&] {
      return std::find(log.begin(), log.end(), "x is 1") != log.end();
    };
    REQUIRE(loop.turn_until(answered));
    CHECK(log.front() == "x: x");
  }

  TEST_CASE_FIXTURE(fixture, "an ended watch reports nothing, not even late") {
    const auto id = watch("x");
    REQUIRE(logged(1));
    server->set("x", "1");
    tree->unwatch(id);
    tree->unwatch(id);
    read("x");
    REQUIRE(logged(2));
    CHECK(log == words{"x: x", "x is 1"});
    CHECK(server->calls() == words{"watch x", "unwatch x", "read x"});
  }

  TEST_CASE_FIXTURE(fixture, "a callback may end its watch, or all of it") {
    store::watch_id id = 0;
    id = tree->watch("x", [&](const std::string&) {
      tree->unwatch(id);
      log.emplace_back("once");
    });
    REQUIRE(logged(1));
    server->set("x", "1");
    tree->read({"x"}, [&](std::vector<store::value>) {
      tree.reset();
      log.emplace_back("gone");
    });
    read("x");
    REQUIRE(logged(2));
    loop.settle();
    CHECK(log == words{"once", "gone"});
  }

  TEST_CASE_FIXTURE(fixture, "a storm on one node waits as one change") {
    watch("x");
    REQUIRE(logged(1));
    for (auto i = 0; i < 10'000; ++i)
      server->set("x", std::to_string(i));
    server->await_drained();
    read("x");
    REQUIRE(logged(3));
    CHECK(log == words{"x: x", "x: x", "x is 9999"});
  }

  TEST_CASE_FIXTURE(fixture, "a storm on many nodes ends in the path itself") {
    watch("x");
    REQUIRE(logged(1));
    for (auto i = 0; i < 10'000; ++i)
      server->set("x/" + std::to_string(i), "");
    server->await_drained();
    read("x/9999");
    const auto queued = store_exchange::changes_per_watch_max + 1;
    REQUIRE(logged(1 + queued + 1));
    CHECK(log.size() == 1 + queued + 1);
    CHECK(log[1] == "x: x/0");
    CHECK(log[queued] == "x: x");
    CHECK(log.back() == "x/9999 is ");
  }

  TEST_CASE_FIXTURE(fixture, "a stalled xenstored stalls nothing but answers") {
    watch("x");
    REQUIRE(logged(1));
    server->stop();
    read("x");
    server->await_hanging_call();
    tree->write("y", "1", {});
    // The loop goes on, and so do those who ask.
    auto turned = false;
    loop.defer([&] { turned = true; });
    REQUIRE(loop.turn_until([&] { return turned; }));
    CHECK(log.size() == 1);
    server->go_on();
    REQUIRE(logged(2));
    CHECK(log.back() == "x is absent");
    REQUIRE(loop.turn_until([&] { return server->get("y").has_value(); }));
  }

  TEST_CASE_FIXTURE(fixture, "the end waits for what was asked before") {
    server->stop();
    tree->write("a", "1", [&](bool) { log.emplace_back("delivered"); });
    tree->write("b", "2", {});
    server->await_hanging_call();
    server->go_on();
    tree.reset();
    CHECK(server->get("a") == "1");
    CHECK(server->get("b") == "2");
    loop.settle();
    CHECK(log.empty());
  }

  TEST_CASE("a call that never returns does not keep the end waiting") {
    tests::test_loop loop;
    auto server = std::make_shared<scripted_xenstored>();
    auto started = store_thread::start(loop, server->connect(),
                                       std::chrono::milliseconds{1});
    REQUIRE(started);
    server->stop();
    (*started)->write("a", "1", {});
    (*started)->write("b", "2", {});
    server->await_hanging_call();
    (*started).reset();
    // When it does return, nothing more is asked and nothing delivered.
    server->go_on();
    server->await_closed_links();
    CHECK_FALSE(server->get("b"));
    loop.settle();
  }

  TEST_CASE_FIXTURE(fixture, "a watch that is refused is looked at once") {
    server->refuse_watches();
    watch("x");
    REQUIRE(logged(1));
    CHECK(log == words{"x: x"});
  }

  TEST_CASE_FIXTURE(fixture, "without a connection every answer is no") {
    watch("x");
    REQUIRE(logged(1));
    server->die();
    read("x");
    tree->write("x", "1",
                [&](bool worked) { log.push_back(worked ? "yes" : "no"); });
    tree->list("x", [&](std::vector<std::string> names) {
      log.push_back("lists " + std::to_string(names.size()));
    });
    REQUIRE(logged(4));
    CHECK(log == words{"x: x", "x is absent", "no", "lists 0"});
  }
}
