#include "tpm/committer.hpp"

#include <algorithm>
#include <csignal>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tpm/scratch_directory.hpp"
#include "tests/tpm/store_fixture.hpp"
#include "tpm/committers.hpp"
#include "tpm/owned_file.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::scratch_directory;

namespace {

/// What this machine has; the thread always.
std::vector<committer_kind> kinds(int descriptor) {
  auto out = std::vector{committer_kind::thread, committer_kind::automatic};
  if (make_committer(committer_kind::uring, descriptor))
    out.push_back(committer_kind::uring);
  else
    MESSAGE("skipped in part: no io_uring here");
  return out;
}

bool is_readable(int descriptor, int timeout_ms) {
  auto entry = pollfd{descriptor, POLLIN, 0};
  return ::poll(&entry, 1, timeout_ms) == 1;
}

/// Waits as an event loop would and returns how the write ended.
result<unit> finish(committer& instance) {
  for (;;) {
    REQUIRE(is_readable(instance.descriptor(), 30000));
    if (auto outcome = instance.finish())
      return *std::move(outcome);
  }
}

byte_vector contents(int descriptor, std::size_t size) {
  auto out = byte_vector(size);
  REQUIRE(::pread(descriptor, out.data(), size, 0)
          == static_cast<ssize_t>(size));
  return out;
}

/// Lets no file of this process grow beyond a size, while it lives.
class size_limit {
public:
  explicit size_limit(rlim_t octets) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    const auto limit = rlimit{octets, before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }

  size_limit(const size_limit&) = delete;
  size_limit& operator=(const size_limit&) = delete;

  ~size_limit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

private:
  void (*handler_)(int);
  rlimit before_{};
};

struct scratch_file {
  scratch_directory dir;
  owned_descriptor file{
    ::open((dir / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
};

} // namespace

TEST_SUITE("tpm/committer") {
  TEST_CASE("writes arrive where they should, one after the other") {
    scratch_file target;
    for (const auto kind : kinds(target.file.get())) {
      auto instance = make_committer(kind, target.file.get());
      REQUIRE(instance);
      CAPTURE(std::string{(*instance)->name()});
      auto expected = byte_vector(40960);
      (*instance)->start(0, expected);
      REQUIRE(finish(**instance));
      for (std::size_t i = 0; i < 20; ++i) {
        const auto offset = i * 7 % 10 * 4096;
        const auto data = byte_vector(4096, static_cast<std::uint8_t>(i + 1));
        std::copy(data.begin(), data.end(),
                  expected.begin() + static_cast<std::ptrdiff_t>(offset));
        (*instance)->start(offset, data);
        REQUIRE(finish(**instance));
      }
      CHECK(contents(target.file.get(), expected.size()) == expected);
    }
  }

  TEST_CASE("the descriptor is quiet before a write and after its end") {
    scratch_file target;
    for (const auto kind : kinds(target.file.get())) {
      auto instance = make_committer(kind, target.file.get());
      REQUIRE(instance);
      CAPTURE(std::string{(*instance)->name()});
      const auto data = byte_vector(512, 1);
      for (auto round = 0; round < 3; ++round) {
        CHECK_FALSE(is_readable((*instance)->descriptor(), 0));
        CHECK_FALSE((*instance)->finish());
        (*instance)->start(0, data);
        REQUIRE(finish(**instance));
        CHECK_FALSE(is_readable((*instance)->descriptor(), 0));
        CHECK_FALSE((*instance)->finish());
      }
    }
  }

  TEST_CASE("a device that refuses is an error, and the next write is tried") {
    const auto full = owned_descriptor{::open("/dev/full", O_RDWR | O_CLOEXEC)};
    REQUIRE(full);
    for (const auto kind : kinds(full.get())) {
      auto instance = make_committer(kind, full.get());
      REQUIRE(instance);
      CAPTURE(std::string{(*instance)->name()});
      const auto data = byte_vector(4096, 1);
      for (auto round = 0; round < 3; ++round) {
        (*instance)->start(0, data);
        const auto outcome = finish(**instance);
        REQUIRE_FALSE(outcome);
        CHECK(outcome.error().code == errc::io);
      }
    }
  }

  TEST_CASE("a descriptor that cannot be written is an error") {
    scratch_file target;
    const auto readable = owned_descriptor{
      ::open((target.dir / "file").c_str(), O_RDONLY | O_CLOEXEC)};
    for (const auto kind :
         {committer_kind::thread, committer_kind::automatic}) {
      auto instance = make_committer(kind, readable.get());
      REQUIRE(instance);
      const auto data = byte_vector(4096, 1);
      (*instance)->start(0, data);
      CHECK_FALSE(finish(**instance));
    }
  }

  TEST_CASE("a file that may not grow is an error, and so is a short write") {
    scratch_file target;
    for (const auto kind : kinds(target.file.get())) {
      REQUIRE(::ftruncate(target.file.get(), 0) == 0);
      auto instance = make_committer(kind, target.file.get());
      REQUIRE(instance);
      CAPTURE(std::string{(*instance)->name()});
      const auto data = byte_vector(8192, 1);
      auto outcomes = std::vector<result<unit>>{};
      {
        const size_limit limit{4096};
        for (const auto offset : {0, 8192}) {
          (*instance)->start(static_cast<std::uint64_t>(offset), data);
          outcomes.push_back(finish(**instance));
        }
      }
      REQUIRE_FALSE(outcomes[0]);
      CHECK(outcomes[0].error().detail
            == "cannot write the state: only 4096 of 8192 octets went out");
      REQUIRE_FALSE(outcomes[1]);
      CHECK(outcomes[1].error().detail
            == "cannot write the state: File too large");
      (*instance)->start(0, data);
      CHECK(finish(**instance));
    }
  }

  TEST_CASE("what a write returned is judged") {
    CHECK(judge_write(4096, 4096));
    for (const auto outcome : {0, 1, 4095}) {
      const auto verdict = judge_write(outcome, 4096);
      REQUIRE_FALSE(verdict);
      CHECK(verdict.error().code == errc::io);
    }
    CHECK(judge_write(-EIO, 4096).error().detail
          == "cannot write the state: Input/output error");
  }

  TEST_CASE("the end waits for the write under way") {
    scratch_file target;
    for (const auto kind : kinds(target.file.get()))
      for (auto round = 1; round < 20; ++round) {
        const auto data = byte_vector(262144, static_cast<std::uint8_t>(round));
        {
          auto instance = make_committer(kind, target.file.get());
          REQUIRE(instance);
          (*instance)->start(0, data);
        }
        REQUIRE(contents(target.file.get(), data.size()) == data);
      }
  }

  TEST_CASE("a finished write that nobody asked about is no trouble") {
    scratch_file target;
    for (const auto kind : kinds(target.file.get())) {
      auto instance = make_committer(kind, target.file.get());
      REQUIRE(instance);
      const auto data = byte_vector(4096, 9);
      (*instance)->start(0, data);
      CHECK(is_readable((*instance)->descriptor(), 30000));
    }
  }

  TEST_CASE("each mechanism has its name, and a choice is always made") {
    scratch_file target;
    auto thread = make_committer(committer_kind::thread, target.file.get());
    REQUIRE(thread);
    CHECK(std::string{(*thread)->name()} == "thread");
    auto uring = make_committer(committer_kind::uring, target.file.get());
    if (uring)
      CHECK(std::string{(*uring)->name()} == "io_uring");
    auto automatic
      = make_committer(committer_kind::automatic, target.file.get());
    REQUIRE(automatic);
    CHECK(std::string{(*automatic)->name()} == (uring ? "io_uring" : "thread"));
  }
}
