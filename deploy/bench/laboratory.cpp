#include "deploy/bench/laboratory.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "deploy/bench/packet.hpp"
#include "deploy/bench/tpm12_commands.hpp"
#include "deploy/bench/tpm20_commands.hpp"

namespace vtpm::deploy {

namespace {

namespace fs = std::filesystem;

std::optional<unsigned> server_cpu(pinning pin) {
  switch (pin) {
    case pinning::split:
      return 1;
    case pinning::same:
      return 0;
    case pinning::none:
      break;
  }
  return std::nullopt;
}

/// An NV index, and what can be read of it.
result<unit> furnish_2_0(const transactor& run) {
  for (const auto& command : {tpm20::nv_define(), tpm20::nv_write(0)})
    if (auto done = run_or_fail(run, command, "making an NV index"); !done)
      return done.error();
  return unit{};
}

/// An NV index, and an owner with an SRK.
result<unit> furnish_1_2(const transactor& run) {
  if (auto done = run_or_fail(run, tpm12::nv_define(), "making an NV index");
      !done)
    return done.error();
  return tpm12::take_ownership(run);
}

/// Gives a TPM what the cases ask for.
result<unit> furnish(const server& host, tpm_version version) {
  return version == tpm_version::v1_2 ? furnish_1_2(host.run())
                                      : furnish_2_0(host.run());
}

/// Brings a new 1.2 TPM of swtpm to where vtpmd's begin.
result<unit> complete_1_2(swtpm_server& host) {
  if (auto active = tpm12::activate(host.run()); !active)
    return active;
  host.stop();
  if (auto started = host.start(); !started)
    return started;
  return tpm12::create_endorsement_key(host.run());
}

} // namespace

result<std::unique_ptr<laboratory>> laboratory::open(
  const bench_options& given) {
  auto directory = given.state_directory + "/vtpm-bench-XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr)
    return problem{"cannot make " + directory + ": " + std::strerror(errno)};
  return std::unique_ptr<laboratory>{
    new laboratory(given, std::move(directory))};
}

laboratory::~laboratory() {
  ours_.clear();
  peers_.clear();
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

result<vtpmd_server*> laboratory::ours(tpm_version version) {
  auto& host = ours_[version];
  if (host)
    return host.get();
  const auto home = path(std::string{"vtpmd-"} + to_string(version));
  std::error_code ignored;
  fs::create_directory(home, ignored);
  host = std::make_unique<vtpmd_server>(given_.vtpmd_path, version, home,
                                        server_cpu(given_.pin),
                                        given_.vtpmd_arguments);
  if (auto started = host->start(); !started)
    return started.error();
  if (auto done = furnish(*host, version); !done)
    return problem{"vtpmd: " + done.error().text};
  return host.get();
}

result<swtpm_server*> laboratory::peer(tpm_version version) {
  auto& host = peers_[version];
  if (host)
    return host.get();
  const auto home = path(std::string{"swtpm-"} + to_string(version));
  std::error_code ignored;
  fs::create_directory(home, ignored);
  host = std::make_unique<swtpm_server>(given_.swtpm_path, version, home,
                                        server_cpu(given_.pin));
  if (auto started = host->start(); !started)
    return started.error();
  auto done
    = version == tpm_version::v1_2 ? complete_1_2(*host) : result<unit>{unit{}};
  if (done)
    done = furnish(*host, version);
  if (!done)
    return problem{"swtpm: " + done.error().text};
  return host.get();
}

result<measured> laboratory::hold(const label& what, const contest& who) const {
  measured out{what.suite, what.name, what.unit, {}, {}, {}};
  std::vector<measurement> contestants;
  std::vector<std::vector<double>*> places;
  const auto enter = [&](const measurement& one, std::vector<double>& place) {
    if (!one)
      return;
    contestants.push_back(one);
    places.push_back(&place);
  };
  enter(who.ours, out.ours);
  enter(who.peer, out.peer);
  enter(who.limit, out.limit);
  auto figures = measure_in_turn(given_.rounds, contestants);
  if (!figures)
    return problem{std::string{what.suite} + ", " + what.name + ": "
                   + figures.error().text};
  for (std::size_t i = 0; i < places.size(); ++i)
    *places[i] = std::move((*figures)[i]);
  return out;
}

} // namespace vtpm::deploy
