#include "tests/crash/vtpmd_process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace vtpm::crash {

namespace {

/// Far beyond what a start or an end takes.
constexpr int patience_ms = 60'000;

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error{what + ": " + std::strerror(errno)};
}

} // namespace

vtpmd_process::vtpmd_process(std::string program, const std::string& directory,
                             std::vector<std::string> options)
  : program_(std::move(program)),
    socket_path_(directory + "/ring"),
    log_path_(directory + "/log"),
    notify_path_(directory + "/notify"),
    options_{program_,     "--state",   directory + "/state",   "--listen",
             socket_path_, "--control", directory + "/control", "--log-level",
             "warn"} {
  options_.insert(options_.end(), options.begin(), options.end());
  notify_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  auto address = sockaddr_un{};
  address.sun_family = AF_UNIX;
  if (notify_path_.size() >= sizeof(address.sun_path))
    throw std::runtime_error{"too long a path: " + notify_path_};
  std::memcpy(address.sun_path, notify_path_.data(), notify_path_.size());
  if (notify_ < 0
      || ::bind(notify_, reinterpret_cast<const sockaddr*>(&address),
                sizeof(address))
        != 0)
    fail("cannot listen at " + notify_path_);
  ::setenv("NOTIFY_SOCKET", notify_path_.c_str(), 1);
}

vtpmd_process::~vtpmd_process() {
  kill();
  ::close(notify_);
}

void vtpmd_process::start(const std::vector<std::string>& more) {
  auto arguments = options_;
  arguments.insert(arguments.end(), more.begin(), more.end());
  std::vector<char*> pointers;
  for (auto& each : arguments)
    pointers.push_back(each.data());
  pointers.push_back(nullptr);
  is_ready_ = false;
  // A word from the one before would be taken for this one's.
  auto old = std::array<char, 256>{};
  while (::recv(notify_, old.data(), old.size(), MSG_DONTWAIT) > 0) {
  }
  const auto log = ::open(log_path_.c_str(),
                          O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  child_ = ::fork();
  if (child_ < 0)
    fail("fork");
  if (child_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(log, STDERR_FILENO);
    ::execv(program_.c_str(), pointers.data());
    ::_exit(127);
  }
  ::close(log);
}

void vtpmd_process::await_ready() {
  while (!is_ready_) {
    auto readable = pollfd{notify_, POLLIN, 0};
    if (::poll(&readable, 1, patience_ms) != 1)
      throw std::runtime_error{"vtpmd does not get ready, see " + log_path_};
    auto word = std::array<char, 256>{};
    const auto size = ::recv(notify_, word.data(), word.size(), 0);
    is_ready_ = size > 0
      && std::string_view{word.data(), static_cast<std::size_t>(size)}.find(
           "READY=1")
        != std::string_view::npos;
  }
}

void vtpmd_process::kill() {
  if (child_ < 0)
    return;
  ::kill(child_, SIGKILL);
  auto status = 0;
  ::waitpid(std::exchange(child_, -1), &status, 0);
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
    throw std::runtime_error{"vtpmd ended by itself, see " + log_path_};
}

void vtpmd_process::stop() {
  ::kill(child_, SIGTERM);
  auto status = 0;
  ::waitpid(std::exchange(child_, -1), &status, 0);
  if (status != 0)
    throw std::runtime_error{"vtpmd ended with status " + std::to_string(status)
                             + ", see " + log_path_};
}

} // namespace vtpm::crash
