#include "deploy/bench/suites.hpp"

namespace vtpm::deploy {

const std::vector<suite>& all_suites() {
  static const std::vector<suite> list = {
    {"latency", run_latency},     {"cold", run_cold},
    {"aggregate", run_aggregate}, {"durable", run_durable},
    {"group", run_group},         {"crypto", run_crypto},
    {"keygen", run_keygen},       {"startup", run_startup},
    {"memory", run_memory},       {"idle", run_idle},
  };
  return list;
}

} // namespace vtpm::deploy
