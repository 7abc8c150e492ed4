#include <cstdio>
#include <exception>
#include <map>
#include <string>

#include <malloc.h>

#include <CLI/CLI.hpp>

#include "protocol/log.hpp"
#include "tests/simulation/campaign.hpp"

using namespace vtpm;
using namespace vtpm::simulation;

namespace {

/// An hour of the fastest engine.
constexpr std::uint64_t cuts_max = 1'000'000'000;

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"Plays a whole vTPM domain, with every actor the real one, on a "
               "disk that lies; cuts the power or kills the process at any "
               "step, opens what is left and compares it with what the guests "
               "were told. The same seed plays the same world.",
               "tests/simulation/run"};
  campaign_options given;
  app
    .add_option("--cuts", given.cuts,
                "Goes on until there were so many; without it one world is "
                "played, that of the seed")
    ->check(CLI::Range(std::uint64_t{1}, cuts_max));
  app.add_option("--seed", given.seed, "Of the first world")
    ->capture_default_str();
  app.add_option("--engine", given.engine, "model, tpm12 or tpm20")
    ->transform(CLI::CheckedTransformer(
      std::map<std::string, engine_kind>{{"model", engine_kind::model},
                                         {"tpm12", engine_kind::tpm12},
                                         {"tpm20", engine_kind::tpm20}}))
    ->default_str("model");
  app.add_option("--jobs", given.jobs, "Worlds played side by side")
    ->check(CLI::Range(1u, 256u))
    ->capture_default_str();
  std::string level = "critical";
  app.add_option("--log-level", level, "What the actors may say on the way")
    ->check(CLI::IsMember({"error", "warn", "info", "debug"}))
    ->type_name("error|warn|info|debug");
  CLI11_PARSE(app, argc, argv);
  if (!set_log_level(level))
    log().set_level(spdlog::level::off);
  // Slots come and go with every life; the kernel need not hear of it.
  ::mallopt(M_MMAP_THRESHOLD, 1 << 28);
  ::mallopt(M_TRIM_THRESHOLD, 1 << 28);
  try {
    return run_campaign(given);
  } catch (const std::exception& why) {
    std::fprintf(stderr, "%s\n", why.what());
    return 2;
  }
}
