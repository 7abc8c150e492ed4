#pragma once

#include <vector>

#include "deploy/bench/laboratory.hpp"
#include "deploy/bench/report.hpp"
#include "deploy/result.hpp"

namespace vtpm::deploy {

using suite_result = result<std::vector<measured>>;

/// Cases that are measured together.
struct suite {
  const char* name;
  suite_result (*run)(laboratory& lab);
};

/// Returns every suite, in the order in which they are run.
const std::vector<suite>& all_suites();

// -- suite_read.cpp: what changes nothing that lasts --------------------------

/// One ring, back to back.
suite_result run_latency(laboratory& lab);

/// One ring, with pauses.
suite_result run_cold(laboratory& lab);

/// Many rings against the peer's one socket.
suite_result run_aggregate(laboratory& lab);

// -- suite_durable.cpp: what is acknowledged when it is stored ----------------

/// One ring, against the bare disk.
suite_result run_durable(laboratory& lab);

/// Sixteen rings against one.
suite_result run_group(laboratory& lab);

// -- suite_keys.cpp: where the time goes into arithmetic ----------------------

suite_result run_crypto(laboratory& lab);
suite_result run_keygen(laboratory& lab);

// -- suite_process.cpp: what a process costs ----------------------------------

suite_result run_startup(laboratory& lab);
suite_result run_memory(laboratory& lab);
suite_result run_idle(laboratory& lab);

} // namespace vtpm::deploy
