#include <algorithm>
#include <cstdint>
#include <string>

#include "deploy/bench/load.hpp"
#include "deploy/bench/raw_disk.hpp"
#include "deploy/bench/suites.hpp"
#include "deploy/bench/tpm12_commands.hpp"
#include "deploy/bench/tpm20_commands.hpp"

namespace vtpm::deploy {

namespace {

/// Never the same value twice in a run: writing what is there already changes
/// nothing, and so is not stored.
std::uint64_t next_value() {
  static auto last = std::uint64_t{0};
  return ++last;
}

command_source nv_writes_2_0() {
  return [](byte_view) { return tpm20::nv_write(next_value()); };
}

/// Times NV writes in one OIAP session.
result<double> time_writes_1_2(const transactor& run, const pace& how) {
  auto owner = tpm12::session::open_oiap(run, tpm12::well_known_secret);
  if (!owner)
    return owner.error();
  const auto commands = [&owner](byte_view last) {
    // A response that is too short has failed the measurement already.
    if (!last.empty())
      (void)owner->roll(last);
    return tpm12::nv_write(*owner, next_value());
  };
  auto taken = time_commands(run, commands, how);
  (void)run(owner->close());
  return taken;
}

measurement timed_writes(const server& host, tpm_version version,
                         const pace& how) {
  return [&host, version, how] {
    return version == tpm_version::v1_2
      ? time_writes_1_2(host.run(), how)
      : time_commands(host.run(), nv_writes_2_0(), how);
  };
}

result<measured> time_durable(laboratory& lab, tpm_version version) {
  const auto ours = lab.ours(version);
  if (!ours)
    return ours.error();
  const auto peer = lab.peer(version);
  if (!peer)
    return peer.error();
  const auto size = (*ours)->commit_size();
  if (!size)
    return size.error();
  const auto text = std::string{to_string(version)};
  auto disk = raw_disk::make(lab.path("raw-" + text), *size);
  if (!disk)
    return disk.error();
  const pace how{lab.amount(500, 20), 5};
  const auto name
    = text + " NV write (" + std::to_string(*size) + " octets to the disk)";
  return lab.hold({"durable", name, "us"},
                  {timed_writes(**ours, version, how),
                   timed_writes(**peer, version, how),
                   [&] { return disk->time_writes(how.count); }});
}

/// What the sixteen rings did.
struct group_figures {
  std::vector<double> one_ring;
  std::vector<double> sixteen_rings;
  std::vector<double> peer;
  /// Changes per commit while the sixteen were writing.
  std::vector<double> per_commit;
};

result<double> rate_and_grouping(const vtpmd_server& host,
                                 const std::vector<xenio::frontend*>& rings,
                                 const command_source& commands,
                                 std::size_t count,
                                 std::vector<double>& per_commit) {
  const auto before = host.count_commits();
  if (!before)
    return before.error();
  auto rate = rate_of(rings, commands, count);
  const auto after = host.count_commits();
  if (!after)
    return after.error();
  per_commit.push_back((after->changes - before->changes)
                       / std::max(1.0, after->commits - before->commits));
  return rate;
}

result<group_figures> measure_group(laboratory& lab) {
  constexpr auto version = tpm_version::v2_0;
  constexpr std::size_t many = 16;
  const auto ours = lab.ours(version);
  if (!ours)
    return ours.error();
  const auto peer = lab.peer(version);
  if (!peer)
    return peer.error();
  const auto one = (*ours)->rings(1);
  if (!one)
    return one.error();
  const auto sixteen = (*ours)->rings(many);
  if (!sixteen)
    return sixteen.error();
  const auto commands = nv_writes_2_0();
  const auto count = lab.amount(1000, 50);
  group_figures out;
  const auto figures = measure_in_turn(
    lab.given().rounds,
    {
      [&] { return rate_of(*one, commands, count); },
      [&] {
        return rate_and_grouping(**ours, *sixteen, commands, many * count,
                                 out.per_commit);
      },
      [&] { return rate_of((*peer)->run(), commands, count); },
    });
  if (!figures)
    return figures.error();
  out.one_ring = (*figures)[0];
  out.sixteen_rings = (*figures)[1];
  out.peer = (*figures)[2];
  return out;
}

} // namespace

suite_result run_durable(laboratory& lab) {
  std::vector<measured> list;
  for (const auto version : {tpm_version::v2_0, tpm_version::v1_2}) {
    auto figures = time_durable(lab, version);
    if (!figures)
      return figures.error();
    list.push_back(std::move(*figures));
  }
  return list;
}

suite_result run_group(laboratory& lab) {
  auto found = measure_group(lab);
  if (!found)
    return found.error();
  std::vector<double> gain;
  for (std::size_t i = 0; i < found->one_ring.size(); ++i)
    gain.push_back(found->sixteen_rings[i] / found->one_ring[i]);
  constexpr auto suite = "group";
  return std::vector<measured>{
    {suite,
     "2.0 NV write, 1 ring",
     "commands/s",
     found->one_ring,
     found->peer,
     {}},
    {suite,
     "2.0 NV write, 16 rings",
     "commands/s",
     found->sixteen_rings,
     found->peer,
     {}},
    {suite, "2.0 NV write, 16 rings by 1 ring", "times", gain, {}, {}},
    {suite,
     "2.0 NV write, 16 rings, grouped",
     "commands/commit",
     found->per_commit,
     {},
     {}},
  };
}

} // namespace vtpm::deploy
