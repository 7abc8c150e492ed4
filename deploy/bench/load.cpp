#include "deploy/bench/load.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include <sys/epoll.h>

#include "deploy/bench/packet.hpp"
#include "deploy/bench/server.hpp"
#include "deploy/bench/statistics.hpp"
#include "xenio/descriptor.hpp"

namespace vtpm::deploy {

namespace {

using clock = std::chrono::steady_clock;

constexpr auto what = "a measured command";

double per_second(std::size_t count, clock::duration taken) {
  return static_cast<double>(count)
    / std::chrono::duration<double>{taken}.count();
}

/// Keeps several rings busy.
class ring_load {
public:
  ring_load(const std::vector<xenio::frontend*>& rings,
            const command_source& commands, std::size_t count)
    : rings_(rings),
      commands_(commands),
      to_submit_(count),
      to_complete_(count) {
    // nop
  }

  result<unit> run();

private:
  result<unit> watch();
  result<unit> submit(xenio::frontend& ring, byte_view last);
  result<unit> look(xenio::frontend& ring);

  const std::vector<xenio::frontend*>& rings_;
  const command_source& commands_;
  xenio::descriptor epoll_{::epoll_create1(EPOLL_CLOEXEC)};
  std::size_t to_submit_;
  std::size_t to_complete_;
};

result<unit> ring_load::watch() {
  for (std::size_t i = 0; i < rings_.size(); ++i) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, rings_[i]->descriptor(),
                    &event)
        != 0)
      return problem{std::string{"cannot wait for a ring: "}
                     + std::strerror(errno)};
  }
  return unit{};
}

result<unit> ring_load::submit(xenio::frontend& ring, byte_view last) {
  if (to_submit_ == 0)
    return unit{};
  --to_submit_;
  constexpr std::uint8_t locality = 0;
  auto submitted = ring.submit(locality, commands_(last));
  if (!submitted)
    return problem{submitted.error().detail};
  return unit{};
}

result<unit> ring_load::look(xenio::frontend& ring) {
  const auto found = ring.poll();
  if (!found)
    return problem{found.error().detail};
  if (!*found)
    return unit{};
  const auto& response = (*found)->response;
  if (auto ok = expect_success(response, what); !ok)
    return ok;
  --to_complete_;
  return submit(ring, response);
}

result<unit> ring_load::run() {
  if (auto watched = watch(); !watched)
    return watched;
  for (auto* ring : rings_)
    if (auto submitted = submit(*ring, {}); !submitted)
      return submitted;
  constexpr auto patience_ms
    = std::chrono::milliseconds{server_patience}.count();
  std::array<epoll_event, 64> ready;
  while (to_complete_ > 0) {
    const auto count
      = ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()),
                     static_cast<int>(patience_ms));
    if (count == 0)
      return problem{"vtpmd does not answer any more"};
    for (auto i = 0; i < count; ++i)
      if (auto looked
          = look(*rings_[ready[static_cast<std::size_t>(i)].data.u64]);
          !looked)
        return looked;
  }
  return unit{};
}

} // namespace

command_source always(byte_vector command) {
  return [command = std::move(command)](byte_view) { return command; };
}

result<double> time_commands(const transactor& run,
                             const command_source& commands, const pace& how) {
  std::vector<double> samples;
  samples.reserve(how.count);
  byte_vector last;
  for (std::size_t i = 0; i < how.warm_up + how.count; ++i) {
    const auto command = commands(last);
    if (how.gap.count() > 0)
      std::this_thread::sleep_for(how.gap);
    const auto begin = clock::now();
    auto response = run(command);
    const auto taken = clock::now() - begin;
    if (!response)
      return response.error();
    if (auto ok = expect_success(*response, what); !ok)
      return ok.error();
    last = std::move(*response);
    if (i >= how.warm_up)
      samples.push_back(
        std::chrono::duration<double, std::micro>{taken}.count());
  }
  return median(std::move(samples));
}

result<double> rate_of(const transactor& run, const command_source& commands,
                       std::size_t count) {
  byte_vector last;
  const auto begin = clock::now();
  for (std::size_t i = 0; i < count; ++i) {
    auto response = run_or_fail(run, commands(last), what);
    if (!response)
      return response.error();
    last = std::move(*response);
  }
  return per_second(count, clock::now() - begin);
}

result<double> rate_of(const std::vector<xenio::frontend*>& rings,
                       const command_source& commands, std::size_t count) {
  ring_load load{rings, commands, count};
  const auto begin = clock::now();
  if (auto done = load.run(); !done)
    return done.error();
  return per_second(count, clock::now() - begin);
}

} // namespace vtpm::deploy
