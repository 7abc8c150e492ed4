#include "deploy/vtpmd/signals.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include <sys/signalfd.h>
#include <unistd.h>

namespace vtpm::deploy {

namespace {

sigset_t termination_set() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);
  return set;
}

} // namespace

void block_signals() {
  const auto set = termination_set();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void ignore_broken_pipes() {
  std::signal(SIGPIPE, SIG_IGN);
}

void ignore_file_size_limits() {
  std::signal(SIGXFSZ, SIG_IGN);
}

result<xenio::descriptor> signal_source() {
  const auto set = termination_set();
  xenio::descriptor source{::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
  if (!source)
    return problem{std::string{"cannot listen for signals: "}
                   + std::strerror(errno)};
  return source;
}

result<std::unique_ptr<termination_signals>> termination_signals::watch(
  xenio::event_loop& loop, std::function<void(int)> on_signal) {
  auto source = signal_source();
  if (!source)
    return source.error();
  const auto number = source->get();
  loop.watch(number, [number, on_signal = std::move(on_signal)] {
    signalfd_siginfo info;
    if (::read(number, &info, sizeof(info)) == sizeof(info))
      on_signal(static_cast<int>(info.ssi_signo));
  });
  return std::unique_ptr<termination_signals>{
    new termination_signals{loop, std::move(*source)}};
}

termination_signals::~termination_signals() {
  loop_.unwatch(source_.get());
}

} // namespace vtpm::deploy
