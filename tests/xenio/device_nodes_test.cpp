// Goal: a backend finds the nodes that libxl would have made.

#include "xenio/device_nodes.hpp"

#include <doctest/doctest.h>

#include "xenio/simulated/loop.hpp"

using namespace vtpm::xenio;
using strings = std::vector<std::string>;

TEST_SUITE("xenio/device_nodes") {
  TEST_CASE("an announced device has libxl's nodes") {
    simulated::loop loop;
    memory_tree tree{loop};
    announce_device(tree, 7, 3, "01234567-89ab-cdef-0123-456789abcdef");
    const std::string backend = "/local/domain/0/backend/vtpm/7/3";
    const std::string frontend = "/local/domain/7/device/vtpm/3";
    CHECK(backend_path(7, 3) == backend);
    CHECK(frontend_path(7, 3) == frontend);
    CHECK(tree.get(backend + "/frontend") == frontend);
    CHECK(tree.get(backend + "/frontend-id") == "7");
    CHECK(tree.get(backend + "/online") == "1");
    CHECK(tree.get(backend + "/state") == "1");
    CHECK(tree.get(backend + "/handle") == "3");
    CHECK(tree.get(backend + "/uuid")
          == "01234567-89ab-cdef-0123-456789abcdef");
    CHECK(tree.children(backend).size() == 6);
    CHECK(tree.get(frontend + "/backend") == backend);
    CHECK(tree.get(frontend + "/backend-id") == "0");
    CHECK(tree.get(frontend + "/state") == "1");
    CHECK(tree.get(frontend + "/handle") == "3");
    CHECK(tree.children(frontend).size() == 4);
  }

  TEST_CASE("a removed device leaves its neighbours alone") {
    simulated::loop loop;
    memory_tree tree{loop};
    announce_device(tree, 7, 0, "");
    announce_device(tree, 7, 1, "");
    announce_device(tree, 8, 0, "");
    remove_device(tree, 7, 0);
    CHECK(tree.children("backend/vtpm/7") == strings{"1"});
    CHECK(tree.children("/local/domain/7/device/vtpm") == strings{"1"});
    remove_device(tree, 7, 1);
    CHECK(tree.children("backend/vtpm") == strings{"8"});
    CHECK(tree.children("/local/domain") == strings{"0", "8"});
    remove_device(tree, 8, 0);
    remove_device(tree, 8, 0);
    CHECK(tree.children("backend/vtpm").empty());
    CHECK(tree.children("/local/domain") == strings{"0"});
  }

  TEST_CASE("a device of the backend's own domain leaves its home alone") {
    simulated::loop loop;
    memory_tree tree{loop};
    announce_device(tree, 0, 0, "");
    tree.set("control/shutdown", "");
    remove_device(tree, 0, 0);
    CHECK(tree.get("control/shutdown") == "");
  }
}
