#pragma once

#include <string>
#include <vector>

#include "tpm/state_store.hpp"

namespace vtpm::deploy {

/// Returns where a vtpmd without `--shadow PATH` keeps the shadow of a vTPM,
/// best first: beside its control socket, which is usually in memory, else
/// where every Linux has memory.
std::vector<std::string> shadow_paths(const std::string& control_path,
                                      const tpm::uuid& id);

} // namespace vtpm::deploy
