#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>

#include "deploy/bench/bench_options.hpp"
#include "deploy/bench/report.hpp"
#include "deploy/bench/rounds.hpp"
#include "deploy/bench/server.hpp"
#include "deploy/result.hpp"
#include "protocol/version.hpp"

namespace vtpm::deploy {

/// What one case is called.
struct label {
  const char* suite;
  std::string name;
  const char* unit;
};

/// Who is measured in one case; peer and limit may be empty.
struct contest {
  measurement ours;
  measurement peer;
  measurement limit;
};

/// A temporary directory and, in it, servers of both versions and both makes:
/// made when first asked for, then kept.
class laboratory {
public:
  /// Makes the directory.
  /// @param given Outlives the laboratory.
  static result<std::unique_ptr<laboratory>> open(const bench_options& given);

  /// Ends the servers and removes the directory.
  ~laboratory();

  laboratory(const laboratory&) = delete;
  laboratory& operator=(const laboratory&) = delete;

  const bench_options& given() const noexcept {
    return given_;
  }

  /// Returns how many samples to take.
  std::size_t amount(std::size_t full, std::size_t quick) const noexcept {
    return given_.quick ? quick : full;
  }

  /// Returns our server, running and prepared: a 2.0 TPM has its NV index, a
  /// 1.2 one its NV index and an owner.
  result<vtpmd_server*> ours(tpm_version version);

  /// Returns the peer's server, likewise.
  result<swtpm_server*> peer(tpm_version version);

  /// Returns the path of a file in the directory.
  std::string path(const std::string& name) const {
    return directory_ + "/" + name;
  }

  /// Measures a case.
  result<measured> hold(const label& what, const contest& who) const;

private:
  laboratory(const bench_options& given, std::string directory)
    : given_(given), directory_(std::move(directory)) {
    // nop
  }

  const bench_options& given_;
  std::string directory_;
  std::map<tpm_version, std::unique_ptr<vtpmd_server>> ours_;
  std::map<tpm_version, std::unique_ptr<swtpm_server>> peers_;
};

} // namespace vtpm::deploy
