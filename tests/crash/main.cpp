#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <random>
#include <string>
#include <thread>

#include <CLI/CLI.hpp>

#include "tests/crash/client.hpp"
#include "tests/crash/vtpmd_process.hpp"

using namespace vtpm::crash;

namespace {

struct options {
  std::string program;
  std::uint64_t kills = 200;
  unsigned clients = 8;
  std::uint64_t seed = 1;
  bool has_shadow = true;
  std::uint32_t longest_life_ms = 200;
};

/// PCRs that a guest may extend at locality 0 (PC Client Platform TPM Profile,
/// 4.6).
constexpr auto clients_max = 16u;

/// A directory and a shadow that go with us, unless something is wrong.
class scratch {
public:
  scratch() {
    auto name
      = (std::filesystem::temp_directory_path() / "vtpm-crash-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw std::runtime_error{"cannot make " + name};
    path = name;
    shadow_path = "/dev/shm/" + std::filesystem::path{path}.filename().string();
  }

  ~scratch() {
    if (keep)
      return;
    std::filesystem::remove_all(path);
    std::filesystem::remove(shadow_path);
  }

  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;

  std::string path;
  /// In memory.
  std::string shadow_path;
  bool keep = false;
};

int exit_code = EXIT_SUCCESS;

/// One line that deploy/tally counts.
void check(bool holds, const std::string& sentence,
           const std::string& detail = "") {
  std::printf("%s - %s\n", holds ? "ok" : "not ok", sentence.c_str());
  if (holds)
    return;
  exit_code = EXIT_FAILURE;
  std::printf("#   %s\n", detail.c_str());
}

/// Kills and starts again, at random moments.
class storm {
public:
  storm(const options& given, vtpmd_process& target)
    : given_(given), target_(target), random_(given.seed) {
    for (auto i = 0u; i < given.clients; ++i)
      clients_.push_back(std::make_unique<client>(
        target.socket_path(), i, random_(), given.has_shadow, kills_));
  }

  void rage() {
    std::vector<std::thread> threads;
    for (auto& each : clients_)
      threads.emplace_back([&] { each->run(stop_); });
    auto reason = std::exception_ptr{};
    try {
      while (kills_ < given_.kills && !any_problem())
        kill_once();
    } catch (...) {
      reason = std::current_exception();
    }
    stop_ = true;
    for (auto& each : threads)
      each.join();
    if (reason)
      std::rethrow_exception(reason);
  }

  void compare_all() {
    for (auto& each : clients_)
      if (each->report().problem.empty())
        each->compare_all();
  }

  client_report total() const {
    client_report sum;
    for (const auto& each : clients_) {
      const auto& one = each->report();
      sum.answers += one.answers;
      sum.increments += one.increments;
      sum.extends += one.extends;
      sum.authorized += one.authorized;
      sum.comparisons += one.comparisons;
      if (sum.problem.empty())
        sum.problem = one.problem;
    }
    return sum;
  }

private:
  bool any_problem() const {
    // They end when told, or when something is wrong.
    for (const auto& each : clients_)
      if (each->has_ended())
        return true;
    return false;
  }

  void kill_once() {
    // Sometimes before it serves.
    if (random_() % 8 != 0)
      target_.await_ready();
    const auto life_us = random_() % (given_.longest_life_ms * 1000);
    std::this_thread::sleep_for(std::chrono::microseconds{life_us});
    target_.kill();
    ++kills_;
    target_.start();
    if (kills_ % 100 == 0) {
      std::printf("# %llu kills\n",
                  static_cast<unsigned long long>(kills_.load()));
      std::fflush(stdout);
    }
  }

  const options& given_;
  vtpmd_process& target_;
  std::mt19937_64 random_;
  std::atomic<std::uint64_t> kills_ = 0;
  std::atomic<bool> stop_ = false;
  std::vector<std::unique_ptr<client>> clients_;
};

void run(const options& given) {
  scratch directory;
  directory.keep = true;
  // The pool's thread runs, and so dies, when the machine has nothing else to
  // do: under load a kill would take seconds.
  vtpmd_process target{
    given.program,
    directory.path,
    {"--key-pool", "0", "--shadow",
     given.has_shadow ? directory.shadow_path : std::string{"off"}}};
  target.start({"--create", "--tpm", "2.0"});
  target.await_ready();
  storm weather{given, target};
  weather.rage();
  // Whoever is told to end before it can hear that just dies.
  target.await_ready();
  target.stop();
  target.start();
  target.await_ready();
  weather.compare_all();
  const auto sum = weather.total();
  target.stop();
  const auto under = std::to_string(given.kills) + " kills under "
    + std::to_string(given.clients) + " clients, shadow "
    + (given.has_shadow ? "on" : "off") + ", seed " + std::to_string(given.seed)
    + ": ";
  check(sum.problem.empty(),
        under + std::to_string(sum.answers)
          + " commands answered without an error, "
          + std::to_string(sum.comparisons) + " comparisons agree",
        sum.problem + "; see " + directory.path);
  check(sum.increments > given.kills && sum.extends > given.kills,
        std::to_string(sum.increments) + " increments and "
          + std::to_string(sum.extends)
          + " extends were acknowledged, more of each than kills",
        "too little happened between two kills: try --longest-life");
  if (given.has_shadow)
    check(sum.authorized > 0,
          std::to_string(sum.authorized)
            + " increments in sessions that outlived every kill",
          "nothing was done in a session");
  directory.keep = exit_code != EXIT_SUCCESS;
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{
    "Kills a real vtpmd with SIGKILL at random moments while clients "
    "over the loopback increment, extend and read, and compares "
    "what they find with what they were told.",
    "tests/crash/run"};
  options given;
  app.add_option("--program", given.program, "vtpmd")->required();
  app.add_option("--kills", given.kills, "How many")->capture_default_str();
  app.add_option("--clients", given.clients, "Side by side")
    ->check(CLI::Range(1u, clients_max))
    ->capture_default_str();
  app.add_option("--seed", given.seed, "Of moments and commands")
    ->capture_default_str();
  app
    .add_option("--longest-life", given.longest_life_ms,
                "Between readiness and kill, at most")
    ->type_name("MS")
    ->check(CLI::Range(1u, 60'000u))
    ->capture_default_str();
  std::string shadow = "on";
  app.add_option("--shadow", shadow, "Whether vtpmd keeps one")
    ->check(CLI::IsMember({"on", "off"}))
    ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  given.has_shadow = shadow == "on";
  try {
    run(given);
  } catch (const std::exception& why) {
    check(false, "the storm runs to its end", why.what());
  }
  return exit_code;
}
