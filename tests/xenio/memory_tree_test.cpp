// Goal: the tree is a XenStore, as far as one process can see.

#include "xenio/memory_tree.hpp"

#include <utility>

#include <doctest/doctest.h>

#include "xenio/simulated/loop.hpp"

using namespace vtpm;
using strings = std::vector<std::string>;

namespace {

struct fixture {
  xenio::simulated::loop loop;
  xenio::memory_tree tree{loop};
  strings seen;

  auto watch(const std::string& path) {
    const auto id = tree.watch(
      path, [this](const std::string& changed) { seen.push_back(changed); });
    settle();
    return id;
  }

  void settle() {
    loop.run_until_idle();
  }

  strings take_seen() {
    settle();
    return std::exchange(seen, {});
  }
};

} // namespace

TEST_SUITE("xenio/memory_tree") {
  TEST_CASE_FIXTURE(fixture, "what is written can be read, as of that moment") {
    tree.set("/a", "");
    std::vector<xenio::store::value> values;
    bool worked = false;
    tree.write("/a/b", "1", [&](bool ok) { worked = ok; });
    tree.read({"/a/b", "/a", "/c"}, [&](auto found) { values = found; });
    tree.write("/a/b", "2", {});
    CHECK(values.empty());
    CHECK_FALSE(worked);
    settle();
    CHECK(worked);
    REQUIRE(values.size() == 3);
    CHECK(values[0] == "1");
    CHECK(values[1] == "");
    CHECK(values[2] == std::nullopt);
    CHECK(tree.get("/a/b") == "2");
  }

  TEST_CASE_FIXTURE(fixture, "what was removed is not made again by a write") {
    tree.set("/a/b/state", "4");
    tree.erase("/a/b");
    bool worked = true;
    tree.write("/a/b/state", "6", [&](bool ok) { worked = ok; });
    settle();
    CHECK_FALSE(worked);
    CHECK(tree.get("/a/b") == std::nullopt);
  }

  TEST_CASE_FIXTURE(fixture, "results come in the order of the requests") {
    std::vector<int> order;
    tree.write("/a", "1", [&](bool) { order.push_back(1); });
    tree.read({"/a"}, [&](auto) { order.push_back(2); });
    tree.list("/", [&](auto) { order.push_back(3); });
    tree.remove("/a", [&](bool) { order.push_back(4); });
    tree.watch("/a", [&](const auto&) { order.push_back(5); });
    tree.write("/a", "2", {});
    settle();
    CHECK(order == std::vector<int>{1, 2, 3, 4, 5, 5});
  }

  TEST_CASE_FIXTURE(fixture, "a path without a slash in front is at home") {
    tree.set("backend/vtpm/7/0/state", "1");
    CHECK(tree.get("/local/domain/0/backend/vtpm/7/0/state") == "1");
    CHECK(tree.children("backend/vtpm") == strings{"7"});
  }

  TEST_CASE_FIXTURE(fixture, "children are listed once, sorted, by name") {
    for (auto path : {"/d/b/x/y", "/d/b-c/x", "/d/b", "/d/a", "/d/bb/z"})
      tree.set(path, "");
    CHECK(tree.children("/d") == strings{"a", "b", "b-c", "bb"});
    CHECK(tree.children("/d/b") == strings{"x"});
    CHECK(tree.children("/d/a").empty());
    CHECK(tree.children("/none").empty());
    strings listed;
    tree.list("/d", [&](auto names) { listed = names; });
    settle();
    CHECK(listed == strings{"a", "b", "b-c", "bb"});
  }

  TEST_CASE_FIXTURE(fixture, "a watch reports its path at first") {
    watch("/none/at/all");
    CHECK(take_seen() == strings{"/none/at/all"});
    watch("backend/vtpm");
    CHECK(take_seen() == strings{"backend/vtpm"});
  }

  TEST_CASE_FIXTURE(fixture, "a watch reports its node and all below it") {
    watch("/a/b");
    take_seen();
    tree.set("/a/b", "1");
    tree.set("/a/b/c/d", "1");
    tree.set("/a/bb", "1");
    tree.set("/a", "1");
    CHECK(take_seen() == strings{"/a/b", "/a/b/c/d"});
  }

  TEST_CASE_FIXTURE(fixture, "a relative watch reports relative paths") {
    watch("backend/vtpm");
    take_seen();
    tree.set("/local/domain/0/backend/vtpm/7/0/state", "1");
    tree.erase("backend/vtpm/7");
    CHECK(take_seen() == strings{"backend/vtpm/7/0/state", "backend/vtpm/7"});
  }

  TEST_CASE_FIXTURE(fixture, "removal is reported above, at and below") {
    tree.set("/a/b/c", "1");
    tree.set("/a/b/d", "1");
    watch("/a");
    watch("/a/b");
    watch("/a/b/c");
    watch("/a/b/none");
    watch("/a/x");
    take_seen();
    CHECK(tree.erase("/a/b"));
    CHECK(take_seen() == strings{"/a/b", "/a/b", "/a/b/c"});
    CHECK_FALSE(tree.erase("/a/b"));
    CHECK(take_seen().empty());
    CHECK(tree.children("/a").empty());
    CHECK(tree.get("/a/b/c") == std::nullopt);
  }

  TEST_CASE_FIXTURE(fixture, "removal leaves what only looks alike") {
    for (auto path : {"/a/b", "/a/b/c", "/a/b-c", "/a/bc"})
      tree.set(path, "1");
    tree.erase("/a/b");
    CHECK(tree.children("/a") == strings{"b-c", "bc"});
  }

  TEST_CASE_FIXTURE(fixture, "an ended watch is silent, even about the past") {
    const auto id = watch("/a");
    take_seen();
    tree.set("/a", "1");
    tree.unwatch(id);
    CHECK(take_seen().empty());
    tree.unwatch(id);
  }

  TEST_CASE_FIXTURE(fixture, "a watch may end itself while it reports") {
    xenio::store::watch_id id = 0;
    auto calls = 0;
    id = tree.watch("/a", [&](const std::string&) {
      ++calls;
      tree.unwatch(id);
    });
    tree.set("/a", "1");
    settle();
    CHECK(calls == 1);
  }

  TEST_CASE("nothing is reported after the end of the tree") {
    xenio::simulated::loop loop;
    auto calls = 0;
    {
      xenio::memory_tree tree{loop};
      tree.watch("/a", [&](const std::string&) { ++calls; });
      tree.read({"/a"}, [&](auto) { ++calls; });
    }
    loop.run_until_idle();
    CHECK(calls == 0);
  }

  TEST_CASE_FIXTURE(fixture, "what is no path is refused") {
    const auto longest = '/' + std::string(3071, 'a');
    const auto longest_relative = std::string(2048, 'a');
    CHECK(tree.set(longest, ""));
    CHECK(tree.set(longest_relative, ""));
    for (const auto& path :
         {std::string{}, std::string{"/"}, std::string{"/a/"},
          std::string{"/a//b"}, std::string{"//a"}, std::string{"/a b"},
          std::string{"/a\n"}, std::string{"/\xC3\xA4"},
          std::string{"/a\0b", 4}, longest + 'a', longest_relative + 'a'}) {
      CAPTURE(path);
      CHECK_FALSE(tree.set(path, "1"));
      CHECK(tree.get(path) == std::nullopt);
      CHECK_FALSE(tree.erase(path));
      CHECK(tree.children(path).empty());
      auto worked = true;
      tree.write(path, "1", [&](bool ok) { worked = ok; });
      settle();
      CHECK_FALSE(worked);
      tree.remove(path, [&](bool ok) { worked = ok; });
      settle();
      CHECK_FALSE(worked);
    }
  }

  TEST_CASE_FIXTURE(fixture, "path and value fit into one payload") {
    CHECK(tree.set("/a", std::string(4096 - 3, 'x')));
    CHECK_FALSE(tree.set("/a", std::string(4096 - 2, 'y')));
    CHECK(tree.get("/a")->front() == 'x');
  }
}
