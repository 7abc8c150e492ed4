#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <sys/types.h>

namespace vtpm::crash {

/// A vtpmd and its files, to be started, killed and started again. Throws
/// `std::runtime_error` when it does not do what it should.
class vtpmd_process {
public:
  /// @param directory Where state, key, sockets and the log are.
  vtpmd_process(std::string program, const std::string& directory,
                std::vector<std::string> options);

  /// Kills it.
  ~vtpmd_process();

  vtpmd_process(const vtpmd_process&) = delete;
  vtpmd_process& operator=(const vtpmd_process&) = delete;

  /// Starts it.
  void start(const std::vector<std::string>& more = {});

  /// Waits until it serves.
  void await_ready();

  /// kill -9.
  void kill();

  /// SIGTERM; it has to end with 0.
  void stop();

  const std::string& socket_path() const noexcept {
    return socket_path_;
  }

  const std::string& log_path() const noexcept {
    return log_path_;
  }

private:
  std::string program_;
  std::string socket_path_;
  std::string log_path_;
  std::string notify_path_;
  std::vector<std::string> options_;
  int notify_ = -1;
  bool is_ready_ = false;
  pid_t child_ = -1;
};

} // namespace vtpm::crash
