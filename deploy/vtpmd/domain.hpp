#pragma once

#include <memory>

#include "deploy/result.hpp"
#include "deploy/vtpmd/options.hpp"
#include "deploy/vtpmd/start_problem.hpp"

namespace vtpm::deploy {

/// One vTPM domain: a TPM, its state, and all that serves it, running.
class domain {
public:
  /// Opens the state (or creates it, if so told), powers the TPM on, starts the
  /// actors and listens. Frontends are served when this returns.
  static basic_result<std::unique_ptr<domain>, start_problem> start(
    const options& given);

  ~domain();

  /// Waits until a signal or the operator has ended the domain, and everything
  /// acknowledged is on stable storage. Returns the exit code.
  int wait();

private:
  struct impl;
  explicit domain(std::unique_ptr<impl> state) noexcept;
  std::unique_ptr<impl> impl_;
};

} // namespace vtpm::deploy
