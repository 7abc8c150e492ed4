#include <cstdio>
#include <variant>

#include "deploy/result.hpp"
#include "deploy/vtpmd/domain.hpp"
#include "deploy/vtpmd/hardening.hpp"
#include "deploy/vtpmd/options.hpp"
#include "deploy/vtpmd/signals.hpp"
#include "protocol/log.hpp"

using namespace vtpm;
using namespace vtpm::deploy;

int main(int argc, char** argv) {
  auto parsed = parse_options(argc, argv);
  if (auto* exit = std::get_if<early_exit>(&parsed)) {
    std::fputs(exit->out.c_str(), stdout);
    if (!exit->err.empty())
      std::fprintf(stderr, "%s\n", exit->err.c_str());
    return exit->code;
  }
  const auto& given = std::get<options>(parsed);
  set_log_level(given.log_level);
  harden_process();
  block_signals();
  ignore_broken_pipes();
  ignore_file_size_limits();
  auto running = domain::start(given);
  if (!running) {
    log().error("{}", running.error().text);
    return running.error().exit_code;
  }
  return (*running)->wait();
}
