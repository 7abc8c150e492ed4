#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "deploy/bench/child_process.hpp"
#include "deploy/front/ring_client.hpp"
#include "deploy/result.hpp"
#include "protocol/version.hpp"
#include "xenio/frontend.hpp"

namespace vtpm::deploy {

/// How long a server may take for anything that is not a key.
inline constexpr auto server_patience = std::chrono::seconds{60};

/// A process that serves one TPM, ours or the peer's, with a directory of its
/// own. Started and stopped at will; the TPM's state stays.
class server {
public:
  virtual ~server() = default;

  server(const server&) = delete;
  server& operator=(const server&) = delete;

  /// Starts the process and connects to it.
  result<unit> start();

  /// Ends the process orderly, if it runs.
  virtual void stop();

  /// Starts the process anew and returns the microseconds from before its exec
  /// to the first response.
  result<double> time_start(byte_view first_command);

  /// Returns how to run a command.
  /// @pre The process was started.
  const transactor& run() const noexcept {
    return run_;
  }

  /// @pre The process was started.
  pid_t pid() const noexcept {
    return process_->pid();
  }

protected:
  server(std::string directory, std::optional<unsigned> cpu)
    : directory_(std::move(directory)), cpu_(cpu) {
    // nop
  }

  /// Returns the path of a file in the server's directory.
  std::string path(const char* name) const {
    return directory_ + "/" + name;
  }

private:
  virtual std::vector<std::string> arguments() const = 0;

  /// Makes one attempt to connect.
  virtual result<transactor> connect() = 0;

  result<unit> launch();

  /// Connects as soon as the process lets us.
  result<transactor> connect_soon();

  std::string directory_;
  std::optional<unsigned> cpu_;
  std::optional<child_process> process_;
  transactor run_;
};

/// vtpmd, with frontends on its loopback ring.
class vtpmd_server final : public server {
public:
  /// @param extra Further arguments of vtpmd.
  vtpmd_server(std::string program, tpm_version version, std::string directory,
               std::optional<unsigned> cpu, std::vector<std::string> extra);

  ~vtpmd_server() override;

  void stop() override;

  /// Returns `count` connected frontends, the one of `run` being the first.
  /// They stay connected until `stop`.
  result<std::vector<xenio::frontend*>> rings(std::size_t count);

  /// What vtpmd has committed so far.
  struct commits {
    double commits;
    double changes;
  };

  result<commits> count_commits() const;

  /// Returns how many octets the newest commit has written.
  result<std::size_t> commit_size() const;

private:
  std::vector<std::string> arguments() const override;
  result<transactor> connect() override;
  result<unit> add_ring();
  std::string shadow_path() const;

  std::string program_;
  tpm_version version_;
  std::vector<std::string> extra_;
  bool is_created_ = false;
  std::vector<std::unique_ptr<xenio::frontend>> rings_;
};

/// swtpm, with its data on a Unix socket.
class swtpm_server final : public server {
public:
  swtpm_server(std::string program, tpm_version version, std::string directory,
               std::optional<unsigned> cpu);

private:
  std::vector<std::string> arguments() const override;
  result<transactor> connect() override;

  std::string program_;
  tpm_version version_;
};

} // namespace vtpm::deploy
