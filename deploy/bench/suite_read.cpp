#include "deploy/bench/load.hpp"
#include "deploy/bench/suites.hpp"
#include "deploy/bench/tpm12_commands.hpp"
#include "deploy/bench/tpm20_commands.hpp"

namespace vtpm::deploy {

namespace {

struct command_case {
  tpm_version version;
  const char* name;
  byte_vector command;
};

std::vector<command_case> read_only_cases() {
  constexpr auto v2_0 = tpm_version::v2_0;
  constexpr auto v1_2 = tpm_version::v1_2;
  return {
    {v2_0, "2.0 PCR read", tpm20::pcr_read()},
    {v2_0, "2.0 PCR extend", tpm20::pcr_extend()},
    {v2_0, "2.0 get random", tpm20::get_random()},
    {v2_0, "2.0 NV read", tpm20::nv_read()},
    {v1_2, "1.2 PCR read", tpm12::pcr_read()},
    {v1_2, "1.2 extend", tpm12::extend()},
    {v1_2, "1.2 get random", tpm12::get_random()},
    {v1_2, "1.2 NV read", tpm12::nv_read()},
  };
}

/// Times one command on both servers.
result<measured> time_case(laboratory& lab, const label& what,
                           const command_case& one, const pace& how) {
  const auto ours = lab.ours(one.version);
  if (!ours)
    return ours.error();
  const auto peer = lab.peer(one.version);
  if (!peer)
    return peer.error();
  const auto commands = always(one.command);
  const auto timed = [&](const server& host) -> measurement {
    return [&] { return time_commands(host.run(), commands, how); };
  };
  return lab.hold(what, {timed(**ours), timed(**peer), {}});
}

} // namespace

suite_result run_latency(laboratory& lab) {
  std::vector<measured> list;
  for (const auto& one : read_only_cases()) {
    const pace how{lab.amount(3000, 100), lab.amount(200, 10)};
    auto figures = time_case(lab, {"latency", one.name, "us"}, one, how);
    if (!figures)
      return figures.error();
    list.push_back(std::move(*figures));
  }
  return list;
}

suite_result run_cold(laboratory& lab) {
  using std::chrono::milliseconds;
  const std::vector<command_case> cases = {
    {tpm_version::v2_0, "2.0 PCR read", tpm20::pcr_read()},
    {tpm_version::v1_2, "1.2 PCR read", tpm12::pcr_read()},
  };
  const std::vector<pace> paces = {
    {lab.amount(60, 5), 2, milliseconds{20}},
    {lab.amount(400, 20), 10, milliseconds{1}},
  };
  std::vector<measured> list;
  for (const auto& one : cases)
    for (const auto& how : paces) {
      const auto gap = std::chrono::duration_cast<milliseconds>(how.gap);
      const auto name = std::string{one.name} + ", "
        + std::to_string(gap.count()) + " ms apart";
      auto figures = time_case(lab, {"cold", name, "us"}, one, how);
      if (!figures)
        return figures.error();
      list.push_back(std::move(*figures));
    }
  return list;
}

suite_result run_aggregate(laboratory& lab) {
  constexpr auto version = tpm_version::v2_0;
  const auto ours = lab.ours(version);
  if (!ours)
    return ours.error();
  const auto peer = lab.peer(version);
  if (!peer)
    return peer.error();
  const auto commands = always(tpm20::pcr_read());
  const auto peer_rate = [&] {
    return rate_of((*peer)->run(), commands, lab.amount(10'000, 200));
  };
  std::vector<measured> list;
  for (const auto count : {1, 4, 16, 64}) {
    const auto rings = (*ours)->rings(static_cast<std::size_t>(count));
    if (!rings)
      return rings.error();
    const auto our_rate
      = [&] { return rate_of(*rings, commands, lab.amount(40'000, 400)); };
    const auto name = "2.0 PCR read, " + std::to_string(count) + " ring"
      + (count == 1 ? "" : "s");
    auto figures
      = lab.hold({"aggregate", name, "commands/s"}, {our_rate, peer_rate, {}});
    if (!figures)
      return figures.error();
    list.push_back(std::move(*figures));
  }
  return list;
}

} // namespace vtpm::deploy
