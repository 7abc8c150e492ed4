#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include "tests/tpm/scratch_directory.hpp"
#include "tests/tpm/store_fixture.hpp"

using namespace vtpm::tpm;
using vtpm::tests::scratch_directory;

namespace {

void write_file(const std::string& path, std::size_t size, mode_t mode) {
  std::ofstream{path} << std::string(size, 'k');
  REQUIRE(::chmod(path.c_str(), mode) == 0);
}

void check_refused(const std::string& path, errc code) {
  const auto key = load_local_key(path);
  REQUIRE_FALSE(key);
  CHECK(key.error().code == code);
  CHECK(key.error().detail.find(path) != std::string::npos);
}

} // namespace

TEST_SUITE("tpm/local_key") {
  TEST_CASE("a new key is random, private, alone and read back") {
    const scratch_directory dir;
    const auto one = create_local_key(dir / "one");
    const auto two = create_local_key(dir / "two");
    REQUIRE(one);
    REQUIRE(two);
    CHECK(one->octets != two->octets);
    CHECK(one->octets.size() == local_key::size);
    struct stat info {};
    REQUIRE(::stat((dir / "one").c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0600);
    CHECK(dir.count() == 2);
    const auto loaded = load_local_key(dir / "one");
    REQUIRE(loaded);
    CHECK(loaded->octets == one->octets);
  }

  TEST_CASE("a key file is never overwritten") {
    const scratch_directory dir;
    const auto first = create_local_key(dir / "key");
    REQUIRE(first);
    const auto second = create_local_key(dir / "key");
    REQUIRE_FALSE(second);
    CHECK(second.error().code == errc::exists);
    CHECK(load_local_key(dir / "key")->octets == first->octets);
    CHECK(dir.count() == 1);
  }

  TEST_CASE("a key in a directory that is not there is an I/O error") {
    const scratch_directory dir;
    CHECK(create_local_key(dir / "no/key").error().code == errc::io);
    check_refused(dir / "no/key", errc::not_found);
  }

  TEST_CASE("a key that others may touch is refused, bit by bit") {
    const scratch_directory dir;
    write_file(dir / "key", 32, 0600);
    CHECK(load_local_key(dir / "key"));
    for (const auto bit : {0001u, 0002u, 0004u, 0010u, 0020u, 0040u}) {
      REQUIRE(::chmod((dir / "key").c_str(), 0600 | bit) == 0);
      check_refused(dir / "key", errc::unusable);
    }
  }

  TEST_CASE("a key of another size is refused") {
    const scratch_directory dir;
    for (const auto size : {0u, 1u, 31u, 33u, 64u, 100000u}) {
      write_file(dir / "key", size, 0600);
      check_refused(dir / "key", errc::unusable);
    }
  }

  TEST_CASE("links, directories and pipes are refused without waiting") {
    const scratch_directory dir;
    write_file(dir / "key", 32, 0600);
    REQUIRE(::symlink((dir / "key").c_str(), (dir / "link").c_str()) == 0);
    check_refused(dir / "link", errc::unusable);
    REQUIRE(::mkfifo((dir / "pipe").c_str(), 0600) == 0);
    check_refused(dir / "pipe", errc::unusable);
    REQUIRE(::mkdir((dir / "dir").c_str(), 0700) == 0);
    check_refused(dir / "dir", errc::unusable);
  }

  TEST_CASE("another user's key is refused") {
    if (::geteuid() != 0) {
      MESSAGE("skipped: only root can give a file away");
      return;
    }
    const scratch_directory dir;
    write_file(dir / "key", 32, 0600);
    REQUIRE(::chown((dir / "key").c_str(), 12345, 12345) == 0);
    check_refused(dir / "key", errc::unusable);
  }
}
