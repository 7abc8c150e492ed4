#include "deploy/vtpmd/start_problem.hpp"

#include "deploy/result.hpp"

namespace vtpm::deploy {

int exit_code_for(tpm::errc code) noexcept {
  switch (code) {
    case tpm::errc::locked:
      return daemon_exit::locked;
    case tpm::errc::not_found:
      return daemon_exit::no_state;
    case tpm::errc::not_a_state:
      return daemon_exit::not_a_state;
    case tpm::errc::wrong_key:
      return daemon_exit::wrong_key;
    case tpm::errc::rollback:
      return daemon_exit::rollback;
    case tpm::errc::damage:
      return daemon_exit::damage;
    case tpm::errc::other_version:
      return daemon_exit::other_version;
    case tpm::errc::engine:
      return daemon_exit::engine;
    case tpm::errc::unusable:
      return daemon_exit::unusable;
    case tpm::errc::io:
      return daemon_exit::unreadable;
    case tpm::errc::exists:
    case tpm::errc::too_large:
    case tpm::errc::hardware:
    case tpm::errc::policy:
      break;
  }
  return exit_code::failure;
}

} // namespace vtpm::deploy
