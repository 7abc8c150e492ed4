#pragma once

#include <memory>

#include "deploy/result.hpp"
#include "deploy/vtpmd/options.hpp"
#include "deploy/vtpmd/power_on.hpp"
#include "deploy/vtpmd/start_problem.hpp"
#include "tpm/block_file.hpp"
#include "tpm/committer.hpp"
#include "tpm/state_store.hpp"

namespace vtpm::deploy {

/// What is below the actors.
struct foundation {
  std::unique_ptr<tpm::block_file> device;
  std::unique_ptr<tpm::state_store> store;
  std::unique_ptr<tpm::committer> committer;
  running_tpm tpm;
  tpm::startup startup;
};

/// Creates the state if so told, opens the storage and powers the TPM on.
basic_result<foundation, start_problem> lay_foundation(const options& given);

} // namespace vtpm::deploy
