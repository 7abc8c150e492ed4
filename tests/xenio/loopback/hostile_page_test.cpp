// Goal: nothing is mapped that could ever fault, and nothing that is no page.

#include <array>
#include <fstream>

#include <doctest/doctest.h>

#include "tests/xenio/loopback/hostile_fixture.hpp"

using namespace vtpm;
using namespace vtpm::xenio;
using xenio::descriptor;
using tests::hostile_fixture;
using tests::memory_file;
using tests::page_seals;
using tests::ring_guest;

namespace {

const auto request = byte_vector{1, 2, 3};
const auto response = byte_vector{3, 2, 1};

} // namespace

TEST_SUITE("xenio/loopback/hostile_page") {
  TEST_CASE_FIXTURE(hostile_fixture, "a page of any other size is not mapped") {
    for (off_t size : {0, 1, 4095, 4097, 8192, 1 << 20}) {
      CAPTURE(size);
      CHECK(refused_page(memory_file(size, page_seals).get()).code
            == errc::bad_grant);
    }
  }

  TEST_CASE_FIXTURE(hostile_fixture,
                    "a page that could shrink or grow is not mapped") {
    for (auto seals : {0, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL}) {
      CAPTURE(seals);
      CHECK(refused_page(memory_file(4096, seals).get()).code
            == errc::bad_grant);
    }
  }

  TEST_CASE_FIXTURE(hostile_fixture,
                    "a page that cannot be written is not mapped") {
    for (auto seal : {F_SEAL_WRITE, F_SEAL_FUTURE_WRITE})
      CHECK(refused_page(memory_file(4096, page_seals | seal).get()).code
            == errc::bad_grant);
    auto file = memory_file(4096, page_seals);
    descriptor read_only{
      ::open(("/proc/self/fd/" + std::to_string(file.get())).c_str(),
             O_RDONLY | O_CLOEXEC)};
    REQUIRE(read_only);
    CHECK(refused_page(read_only.get()).code == errc::bad_grant);
  }

  TEST_CASE_FIXTURE(hostile_fixture, "what is no memory file is not mapped") {
    const auto path = directory.path() / "page";
    std::ofstream{path} << std::string(4096, 'x');
    const descriptor regular{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
    const descriptor device{::open("/dev/zero", O_RDWR | O_CLOEXEC)};
    const descriptor folder{::open("/", O_RDONLY | O_CLOEXEC)};
    const descriptor socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    std::array<int, 2> ends;
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const descriptor reading{ends[0]};
    const descriptor writing{ends[1]};
    for (const auto* file : {&regular, &device, &folder, &socket, &writing}) {
      REQUIRE(*file);
      CHECK(refused_page(file->get()).code == errc::bad_grant);
    }
  }

  TEST_CASE_FIXTURE(hostile_fixture, "a file on tmpfs is not mapped") {
    const descriptor file{
      ::open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
    if (!file) {
      MESSAGE("skipped: /dev/shm is not writable");
      return;
    }
    REQUIRE(::ftruncate(file.get(), 4096) == 0);
    CHECK(refused_page(file.get()).code == errc::bad_grant);
  }

  TEST_CASE_FIXTURE(hostile_fixture,
                    "a page that is shared cannot be taken away") {
    ring_guest guest{*this, 7};
    const auto file = guest.page->file();
    for (off_t size : {0, 1, 4095, 4097})
      CHECK(::ftruncate(file, size) != 0);
    CHECK(::fallocate(file, FALLOC_FL_COLLAPSE_RANGE, 0, 4096) != 0);
    // A hole is possible, and reads as zeros.
    CHECK(::fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096)
          == 0);
    loopback::ring(guest.bell.get());
    loop.settle();
    CHECK(guest.transact(request) == response);
  }
}
