#include "deploy/bench/child_process.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace vtpm::deploy {

namespace {

using clock = std::chrono::steady_clock;

constexpr auto patience = std::chrono::seconds{10};
constexpr auto look_again_after = std::chrono::milliseconds{1};

/// What a shell says for a program that cannot be run.
constexpr auto cannot_run = 127;

/// In the child: becomes the program, or ends.
[[noreturn]] void become(char* const* arguments, int log,
                         std::optional<unsigned> cpu) {
  // Goes when we go, whatever ends us.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  if (cpu && !pin_to(*cpu))
    ::_exit(cannot_run);
  ::execvp(arguments[0], arguments);
  ::_exit(cannot_run);
}

} // namespace

result<child_process> child_process::start(
  const std::vector<std::string>& arguments, const std::string& log_path,
  std::optional<unsigned> cpu) {
  constexpr auto owner_only = 0600;
  const auto log = ::open(
    log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, owner_only);
  if (log < 0)
    return problem{"cannot write " + log_path + ": " + std::strerror(errno)};
  std::vector<char*> texts;
  for (const auto& argument : arguments)
    texts.push_back(const_cast<char*>(argument.c_str()));
  texts.push_back(nullptr);
  const auto pid = ::fork();
  if (pid == 0)
    become(texts.data(), log, cpu);
  const auto os_error = errno;
  ::close(log);
  if (pid < 0)
    return problem{"cannot start " + arguments[0] + ": "
                   + std::strerror(os_error)};
  return child_process{pid};
}

child_process::~child_process() {
  if (pid_ < 0)
    return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool child_process::ended() noexcept {
  if (pid_ >= 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_)
    pid_ = -1;
  return pid_ < 0;
}

void child_process::stop() noexcept {
  if (pid_ < 0)
    return;
  ::kill(pid_, SIGTERM);
  const auto deadline = clock::now() + patience;
  while (!ended()) {
    if (clock::now() > deadline) {
      ::kill(pid_, SIGKILL);
      ::waitpid(std::exchange(pid_, -1), nullptr, 0);
      return;
    }
    std::this_thread::sleep_for(look_again_after);
  }
}

result<unit> pin_to(unsigned cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (::sched_setaffinity(0, sizeof(set), &set) != 0)
    return problem{"cannot use CPU " + std::to_string(cpu)
                   + " alone: " + std::strerror(errno)};
  return unit{};
}

} // namespace vtpm::deploy
