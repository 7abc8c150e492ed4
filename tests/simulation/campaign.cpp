#include "tests/simulation/campaign.hpp"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <new>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/simulation/world.hpp"

namespace vtpm::simulation {

namespace {

using clock = std::chrono::steady_clock;

constexpr auto progress_interval = std::chrono::seconds{10};

/// What a job tells the campaign, in memory that both see.
struct job_report {
  /// Of the world being played, or of the one that failed.
  std::uint64_t seed = 0;
  tally done;
};

/// How many worlds a process plays. libtpms keeps its TPM in globals, so each
/// of its worlds has to begin with a process as new as in a replay.
unsigned batch_size(engine_kind engine) noexcept {
  return engine == engine_kind::model ? 64 : 1;
}

class campaign {
public:
  explicit campaign(const campaign_options& given)
    : given_(given), kit_(make_kit(given.engine)), next_seed_(given.seed) {
    auto* memory
      = ::mmap(nullptr, given.jobs * sizeof(job_report), PROT_READ | PROT_WRITE,
               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
      throw std::bad_alloc{};
    reports_ = new (memory) job_report[given.jobs];
  }

  int run() {
    for (auto job = 0u; job < given_.jobs; ++job)
      start(job);
    auto failed = false;
    while (!running_.empty()) {
      int status = 0;
      const auto child = ::wait(&status);
      const auto entry = running_.find(child);
      if (entry == running_.end())
        continue;
      const auto job = entry->second;
      running_.erase(entry);
      if (status != 0) {
        tell_failure(reports_[job].seed, status);
        failed = true;
      }
      say_progress();
      if (!failed && !enough())
        start(job);
    }
    say_result(failed);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
  }

private:
  bool enough() const {
    return given_.cuts == 0 ? next_seed_ > given_.seed
                            : total().cuts() >= given_.cuts;
  }

  tally total() const {
    tally sum;
    for (auto job = 0u; job < given_.jobs; ++job)
      sum += reports_[job].done;
    return sum;
  }

  void start(unsigned job) {
    if (enough())
      return;
    const auto first = next_seed_;
    const auto count = given_.cuts == 0 ? 1 : batch_size(given_.engine);
    next_seed_ += count;
    std::fflush(nullptr);
    const auto child = ::fork();
    if (child < 0) {
      std::perror("fork");
      std::exit(EXIT_FAILURE);
    }
    if (child == 0)
      ::_exit(play(reports_[job], first, count));
    running_.emplace(child, job);
  }

  /// The whole life of a job's process.
  int play(job_report& report, std::uint64_t first, std::uint64_t count) {
    for (auto seed = first; seed < first + count; ++seed) {
      report.seed = seed;
      world played{kit_, seed};
      try {
        played.run();
      } catch (const std::exception& why) {
        std::fprintf(stderr, "seed %llu, cut %llu: %s\n",
                     static_cast<unsigned long long>(seed),
                     static_cast<unsigned long long>(played.done().cuts()),
                     why.what());
        // What is left of the actors is of no interest.
        std::fflush(nullptr);
        ::_exit(EXIT_FAILURE);
      }
      report.done += played.done();
    }
    return EXIT_SUCCESS;
  }

  void tell_failure(std::uint64_t seed, int status) {
    if (WIFSIGNALED(status))
      std::fprintf(stderr, "seed %llu: ended by signal %d\n",
                   static_cast<unsigned long long>(seed), WTERMSIG(status));
    std::fprintf(stderr,
                 "replay with: tests/simulation/run --engine %s --seed %llu\n",
                 name_of(given_.engine), static_cast<unsigned long long>(seed));
  }

  void say_progress() {
    const auto now = clock::now();
    if (now - last_word_ < progress_interval)
      return;
    last_word_ = now;
    std::printf("%s: %llu of %llu cuts\n", name_of(given_.engine),
                static_cast<unsigned long long>(total().cuts()),
                static_cast<unsigned long long>(given_.cuts));
    std::fflush(stdout);
  }

  void say_result(bool failed) {
    const auto sum = total();
    const auto number = [](std::uint64_t value) {
      return static_cast<unsigned long long>(value);
    };
    const auto seconds
      = std::chrono::duration<double>{clock::now() - begun_}.count();
    std::printf(
      "%s: %llu cuts, %llu of them of the power, in %llu worlds, "
      "seeds %llu to %llu, %.1f s\n"
      "%s: %llu steps, %llu answers, %llu failed writes, %llu "
      "misdirected, %llu starts refused for them\n",
      name_of(given_.engine), number(sum.cuts()), number(sum.power_cuts),
      number(sum.worlds), number(given_.seed), number(next_seed_ - 1), seconds,
      name_of(given_.engine), number(sum.steps), number(sum.answers),
      number(sum.failed_writes), number(sum.misdirected), number(sum.refusals));
    std::printf("%s: %s\n", name_of(given_.engine),
                failed ? "THE PROMISE WAS BROKEN" : "the promise held");
  }

  campaign_options given_;
  engine_kit kit_;
  std::uint64_t next_seed_;
  /// One per job; never unmapped.
  job_report* reports_ = nullptr;
  std::map<pid_t, unsigned> running_;
  clock::time_point begun_ = clock::now();
  clock::time_point last_word_ = begun_;
};

} // namespace

int run_campaign(const campaign_options& given) {
  return campaign{given}.run();
}

} // namespace vtpm::simulation
