#include <chrono>
#include <thread>

#include "deploy/bench/suites.hpp"
#include "deploy/bench/tpm12_commands.hpp"
#include "deploy/bench/tpm20_commands.hpp"
#include "deploy/bench/usage.hpp"

namespace vtpm::deploy {

namespace {

using clock = std::chrono::steady_clock;

byte_vector first_command(tpm_version version) {
  return version == tpm_version::v1_2 ? tpm12::pcr_read() : tpm20::pcr_read();
}

measurement timed_starts(server& host, tpm_version version, std::size_t count) {
  return [&host, version, count]() -> result<double> {
    std::vector<double> samples;
    for (std::size_t i = 0; i < count; ++i) {
      const auto taken = host.time_start(first_command(version));
      if (!taken)
        return taken.error();
      samples.push_back(*taken / 1000);
    }
    return median(std::move(samples));
  };
}

result<memory_use> memory_with(vtpmd_server& host, std::size_t frontends) {
  const auto rings = host.rings(frontends);
  if (!rings)
    return rings.error();
  // Every frontend has been served once: what a ring needs, it has then.
  constexpr std::uint8_t locality = 0;
  for (auto* ring : *rings)
    if (auto done
        = ring->transact(locality, tpm20::pcr_read(), server_patience);
        !done)
      return problem{done.error().detail};
  return memory_of(host.pid());
}

/// A case of its own per figure, measured once: it does not vary.
measured single(const char* name, double ours, std::vector<double> peer = {}) {
  return {"memory", name, "KiB", {ours}, std::move(peer), {}};
}

/// Returns the share of a CPU in percent, over `duration`.
result<std::pair<double, double>> measure_idle(
  const server& ours, const server& peer, std::chrono::milliseconds duration) {
  const auto begin = clock::now();
  const auto our_begin = cpu_time_of(ours.pid());
  const auto peer_begin = cpu_time_of(peer.pid());
  std::this_thread::sleep_for(duration);
  const auto our_end = cpu_time_of(ours.pid());
  const auto peer_end = cpu_time_of(peer.pid());
  const std::chrono::duration<double, std::nano> taken = clock::now() - begin;
  for (const auto* time : {&our_begin, &peer_begin, &our_end, &peer_end})
    if (!*time)
      return time->error();
  const auto percent = [&](std::uint64_t from, std::uint64_t to) {
    return 100 * static_cast<double>(to - from) / taken.count();
  };
  return std::pair{percent(*our_begin, *our_end),
                   percent(*peer_begin, *peer_end)};
}

} // namespace

suite_result run_startup(laboratory& lab) {
  std::vector<measured> list;
  for (const auto version : {tpm_version::v2_0, tpm_version::v1_2}) {
    const auto ours = lab.ours(version);
    if (!ours)
      return ours.error();
    const auto peer = lab.peer(version);
    if (!peer)
      return peer.error();
    const auto count = lab.amount(5, 1);
    const auto name
      = std::string{to_string(version)} + " exec to first response";
    auto figures = lab.hold({"startup", name, "ms"},
                            {timed_starts(**ours, version, count),
                             timed_starts(**peer, version, count),
                             {}});
    if (!figures)
      return figures.error();
    list.push_back(std::move(*figures));
  }
  return list;
}

suite_result run_memory(laboratory& lab) {
  const auto ours = lab.ours(tpm_version::v2_0);
  if (!ours)
    return ours.error();
  const auto peer = lab.peer(tpm_version::v2_0);
  if (!peer)
    return peer.error();
  // Anew, without what other suites have left behind.
  if (auto began = (*ours)->time_start(tpm20::pcr_read()); !began)
    return began.error();
  if (auto began = (*peer)->time_start(tpm20::pcr_read()); !began)
    return began.error();
  const auto theirs = memory_of((*peer)->pid());
  if (!theirs)
    return theirs.error();
  const auto one = memory_with(**ours, 1);
  if (!one)
    return one.error();
  const auto some = memory_with(**ours, 1 + 16);
  if (!some)
    return some.error();
  const auto many = memory_with(**ours, 1 + 256);
  if (!many)
    return many.error();
  const auto each
    = [&](double memory_use::*field, const memory_use& total, double further) {
        return (total.*field - (*one).*field) / further;
      };
  return std::vector<measured>{
    single("2.0, 1 frontend, private dirty", one->private_dirty,
           {theirs->private_dirty}),
    single("2.0, 1 frontend, PSS", one->proportional, {theirs->proportional}),
    single("2.0, each of 16 more, private dirty",
           each(&memory_use::private_dirty, *some, 16)),
    single("2.0, each of 256 more, private dirty",
           each(&memory_use::private_dirty, *many, 256)),
    single("2.0, each of 256 more, PSS",
           each(&memory_use::proportional, *many, 256)),
  };
}

suite_result run_idle(laboratory& lab) {
  const auto ours = lab.ours(tpm_version::v2_0);
  if (!ours)
    return ours.error();
  const auto peer = lab.peer(tpm_version::v2_0);
  if (!peer)
    return peer.error();
  const auto seconds = lab.amount(5, 1);
  const auto used = measure_idle(**ours, **peer, std::chrono::seconds{seconds});
  if (!used)
    return used.error();
  const auto name = "2.0, " + std::to_string(seconds) + " s without a command";
  return std::vector<measured>{
    {"idle", name, "% of a CPU", {used->first}, {used->second}, {}}};
}

} // namespace vtpm::deploy
