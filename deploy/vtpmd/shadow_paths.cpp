#include "deploy/vtpmd/shadow_paths.hpp"

namespace vtpm::deploy {

std::vector<std::string> shadow_paths(const std::string& control_path,
                                      const tpm::uuid& id) {
  const auto slash = control_path.rfind('/');
  const auto directory
    = slash == std::string::npos ? "." : control_path.substr(0, slash);
  const auto name = tpm::to_string(id) + ".shadow";
  return {directory + "/" + name, "/dev/shm/vtpmd-" + name};
}

} // namespace vtpm::deploy
