#pragma once

#include "deploy/front/front_options.hpp"
#include "deploy/front/ring_client.hpp"
#include "deploy/result.hpp"

namespace vtpm::deploy {

/// Serves one stream of commands: `input` to `output`, both blocking, until the
/// input ends. A malformed command, or an end inside one, is a problem.
result<unit> serve_stdio(int input, int output, const transactor& run);

/// Runs one command. Prints the response to standard output, in hexadecimal,
/// and one line on what it was to standard error.
result<unit> execute_one(const exec_mode& mode, const transactor& run);

/// Serves connections until SIGTERM or SIGINT, then ends the process if a
/// command is still under way.
/// @pre `block_signals` has been called.
result<unit> serve_connections(const listen_mode& mode, transactor run);

} // namespace vtpm::deploy
