#include "tpm/block_file.hpp"

#include <chrono>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/tpm/scratch_directory.hpp"
#include "tests/tpm/store_fixture.hpp"
#include "tpm/aligned_buffer.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::key_of;
using vtpm::tests::scratch_directory;
using vtpm::tests::state_of;

namespace {

/// TMPFS_MAGIC (linux/magic.h).
constexpr auto tmpfs_magic = 0x01021994;

void write_file(const std::string& path, std::size_t size, char octet = 0) {
  std::ofstream{path, std::ios::binary} << std::string(size, octet);
  REQUIRE(::chmod(path.c_str(), 0600) == 0);
}

void check_refused(const std::string& path, errc code) {
  const auto file = block_file::open(path);
  REQUIRE_FALSE(file);
  CAPTURE(file.error().detail);
  CHECK(file.error().code == code);
  CHECK(file.error().detail.find(path) != std::string::npos);
}

/// Commits through a committer of `kind` and opens again.
void check_round_trip(const std::string& path, committer_kind kind) {
  {
    auto file = block_file::create(path);
    REQUIRE(file);
    auto committer = make_committer(kind, (*file)->descriptor());
    REQUIRE(committer);
    auto store
      = state_store::create(**file, key_of(1), tpm_version::v1_2, make_uuid());
    REQUIRE(store);
    for (generation gen = 1; gen < 6; ++gen) {
      auto write = (*store)->prepare(gen, state_of(gen, gen * 3000));
      REQUIRE(write);
      (*committer)->start(write->offset, write->data);
      auto outcome = std::optional<result<unit>>{};
      while (!outcome) {
        outcome = (*committer)->finish();
        std::this_thread::yield();
      }
      REQUIRE(*outcome);
      (*store)->acknowledge();
    }
  }
  auto file = block_file::open(path);
  REQUIRE(file);
  auto opened = state_store::open(**file, key_of(1), tpm_version::v1_2, false);
  REQUIRE(opened);
  CHECK(opened->store->latest().through() == 5);
  CHECK(vtpm::tests::equal(*opened->state, state_of(5, 15000)));
}

/// Runs `losetup` and returns what it printed, without the line's end.
std::string losetup(const std::string& arguments) {
  const auto command = "losetup " + arguments + " 2>/dev/null";
  auto* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr)
    return {};
  auto line = std::array<char, 256>{};
  const auto got = std::fread(line.data(), 1, line.size(), pipe);
  ::pclose(pipe);
  auto text = std::string{line.data(), got};
  while (!text.empty() && text.back() == '\n')
    text.pop_back();
  return text;
}

/// A loop device over a file, detached with its owner; without a path where
/// there are none to be had.
struct loop_device {
  explicit loop_device(const std::string& image)
    : path(losetup("--find --show " + image)) {
    // nop
  }

  loop_device(const loop_device&) = delete;
  loop_device& operator=(const loop_device&) = delete;

  ~loop_device() {
    if (!path.empty())
      losetup("--detach " + path);
  }

  const std::string path;
};

} // namespace

TEST_SUITE("tpm/block_file") {
  TEST_CASE("a new file is whole, private, alone and not sparse") {
    const scratch_directory dir;
    REQUIRE(block_file::create(dir / "state"));
    struct stat info {};
    REQUIRE(::stat((dir / "state").c_str(), &info) == 0);
    CHECK(info.st_size == 2 * slot_size);
    CHECK(info.st_blocks * 512 >= info.st_size);
    CHECK((info.st_mode & 07777) == 0600);
    CHECK(dir.count() == 1);
  }

  TEST_CASE("states survive on a file, through either committer") {
    const scratch_directory dir;
    check_round_trip(dir / "automatic", committer_kind::automatic);
    check_round_trip(dir / "thread", committer_kind::thread);
  }

  TEST_CASE("states survive on tmpfs, with or without direct I/O") {
    struct statfs info {};
    if (::statfs("/dev/shm", &info) != 0 || info.f_type != tmpfs_magic) {
      MESSAGE("skipped: no tmpfs on /dev/shm");
      return;
    }
    const scratch_directory dir{"/dev/shm"};
    check_round_trip(dir / "automatic", committer_kind::automatic);
    check_round_trip(dir / "thread", committer_kind::thread);
  }

  TEST_CASE("a file is never overwritten, unless there is nothing in it") {
    const scratch_directory dir;
    REQUIRE(block_file::create(dir / "state"));
    // A creation that was cut short after this point leaves zeros.
    CHECK(block_file::create(dir / "state"));
    for (const std::size_t at : {std::size_t{0}, 2 * slot_size - 1}) {
      write_file(dir / "state", 2 * slot_size);
      std::fstream file{dir / "state", std::ios::in | std::ios::out};
      file.seekp(static_cast<std::streamoff>(at));
      file.put('x');
      file.close();
      const auto again = block_file::create(dir / "state");
      REQUIRE_FALSE(again);
      CHECK(again.error().code == errc::exists);
    }
    write_file(dir / "other", 10, 'x');
    CHECK(block_file::create(dir / "other").error().code == errc::exists);
    write_file(dir / "empty", 0);
    CHECK(block_file::create(dir / "empty").error().code == errc::exists);
    CHECK(block_file::create(dir / "no/state").error().code == errc::io);
  }

  TEST_CASE("nothing but a whole file gets the name") {
    const scratch_directory dir;
    {
      auto file = unpublished_file::make(dir / "state");
      REQUIRE(file);
      CHECK(::access((dir / "state").c_str(), F_OK) != 0);
      CHECK(dir.count() == 1);
    }
    CHECK(dir.count() == 0);
    auto file = unpublished_file::make(dir / "state");
    REQUIRE(file);
    write_file(dir / "state", 3, 'x');
    const auto published = file->publish();
    REQUIRE_FALSE(published);
    CHECK(published.error().code == errc::exists);
  }

  TEST_CASE("a second opener is told so, in this process and in another") {
    const scratch_directory dir;
    auto file = block_file::create(dir / "state");
    REQUIRE(file);
    check_refused(dir / "state", errc::locked);
    CHECK(block_file::create(dir / "state").error().code == errc::locked);
    const auto child = ::fork();
    if (child == 0) {
      const auto second = block_file::open(dir / "state");
      ::_exit(!second && second.error().code == errc::locked ? 0 : 1);
    }
    REQUIRE(child > 0);
    auto status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    // Closing another descriptor of the file does not drop the lock.
    ::close(::open((dir / "state").c_str(), O_RDONLY | O_CLOEXEC));
    check_refused(dir / "state", errc::locked);
    *file = nullptr;
    CHECK(block_file::open(dir / "state"));
  }

  TEST_CASE("a file that goes while its lock is waited for is not opened") {
    // As when a creation fails that another one waits for.
    const scratch_directory dir;
    auto first = block_file::create(dir / "state");
    REQUIRE(first);
    auto refused = false;
    auto waiting
      = std::thread{[&] { refused = !block_file::open(dir / "state"); }};
    // Should it not wait yet, it finds no file, and is refused as well.
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
    ::unlink((dir / "state").c_str());
    *first = nullptr;
    waiting.join();
    CHECK(refused);
  }

  TEST_CASE("what cannot hold a state is refused with a reason") {
    const scratch_directory dir;
    check_refused(dir / "nothing", errc::not_found);
    check_refused(dir / "no/thing", errc::not_found);
    for (const auto size : {std::size_t{0}, slot_size, 2 * slot_size - 1}) {
      write_file(dir / "small", size);
      check_refused(dir / "small", errc::unusable);
    }
    write_file(dir / "larger", 2 * slot_size + 1);
    CHECK(block_file::open(dir / "larger"));
    REQUIRE(::mkdir((dir / "dir").c_str(), 0700) == 0);
    check_refused(dir / "dir", errc::unusable);
    REQUIRE(::mkfifo((dir / "pipe").c_str(), 0600) == 0);
    check_refused(dir / "pipe", errc::unusable);
    check_refused("/dev/null", errc::unusable);
  }

  TEST_CASE("a file that others may write or own is refused") {
    const scratch_directory dir;
    write_file(dir / "state", 2 * slot_size);
    for (const auto bit : {0002u, 0020u}) {
      REQUIRE(::chmod((dir / "state").c_str(), 0600 | bit) == 0);
      check_refused(dir / "state", errc::unusable);
    }
    if (::geteuid() != 0) {
      MESSAGE("skipped in part: only root can give a file away");
      return;
    }
    REQUIRE(::chmod((dir / "state").c_str(), 0600) == 0);
    REQUIRE(::chown((dir / "state").c_str(), 12345, 12345) == 0);
    check_refused(dir / "state", errc::unusable);
  }

  TEST_CASE("a file that ends early gives an error, not old memory") {
    const scratch_directory dir;
    auto file = block_file::create(dir / "state");
    REQUIRE(file);
    REQUIRE(::truncate((dir / "state").c_str(), slot_size) == 0);
    auto buffer = aligned_buffer{(*file)->alignment(), slot_size};
    CHECK((*file)->read(0, buffer.span()));
    const auto beyond = (*file)->read(slot_size, buffer.span());
    REQUIRE_FALSE(beyond);
    CHECK(beyond.error().code == errc::io);
    CHECK((*file)->sync());
  }

  TEST_CASE("a state can be looked at, whoever has it open") {
    const scratch_directory dir;
    const auto missing = block_file::inspect(dir / "state");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == errc::not_found);
    auto owner = block_file::create(dir / "state");
    REQUIRE(owner);
    const auto meanwhile = block_file::inspect(dir / "state");
    REQUIRE(meanwhile);
    CHECK(meanwhile->in_use);
    auto buffer = aligned_buffer{meanwhile->file->alignment(), slot_size};
    CHECK(meanwhile->file->read(0, buffer.span()));
    owner = error{errc::io, "closed"};
    const auto later = block_file::inspect(dir / "state");
    REQUIRE(later);
    CHECK_FALSE(later->in_use);
    // Looking takes no lock.
    CHECK(block_file::open(dir / "state"));
    // And nothing can be written through it.
    CHECK(::pwrite(later->file->descriptor(), "x", 1, 0) < 0);
    write_file(dir / "small", slot_size);
    const auto small = block_file::inspect(dir / "small");
    REQUIRE_FALSE(small);
    CHECK(small.error().code == errc::unusable);
  }

  TEST_CASE("states survive on a block device, with one opener") {
    const scratch_directory dir;
    write_file(dir / "image", 4 * slot_size);
    write_file(dir / "small", slot_size);
    const loop_device device{dir / "image"};
    const loop_device small{dir / "small"};
    if (device.path.empty() || small.path.empty()) {
      MESSAGE("skipped: no loop devices here");
      return;
    }
    check_refused(small.path, errc::unusable);
    check_round_trip(device.path, committer_kind::automatic);
    auto file = block_file::open(device.path);
    REQUIRE(file);
    check_refused(device.path, errc::locked);
    // Whoever looks at it claims it for an instant, and a killed process for
    // longer.
    auto ending = std::thread{[&] {
      std::this_thread::sleep_for(std::chrono::milliseconds{20});
      *file = nullptr;
    }};
    auto next = block_file::open(device.path);
    ending.join();
    REQUIRE(next);
    *file = *std::move(next);
    const auto meanwhile = block_file::inspect(device.path);
    REQUIRE(meanwhile);
    CHECK(meanwhile->in_use);
    CHECK((*file)->alignment() >= sector_size);
    // Creating on a device is for the store to refuse.
    auto store = state_store::create(**file, key_of(1), tpm_version::v1_2, {});
    REQUIRE_FALSE(store);
    CHECK(store.error().code == errc::exists);
  }
}
