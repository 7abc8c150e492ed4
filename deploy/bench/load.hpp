#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <vector>

#include "deploy/front/ring_client.hpp"
#include "deploy/result.hpp"
#include "protocol/bytes.hpp"
#include "xenio/frontend.hpp"

namespace vtpm::deploy {

/// Makes the next command; gets the response to its last one, at first nothing.
using command_source = std::function<byte_vector(byte_view last)>;

/// Returns a source of one command over and over.
command_source always(byte_vector command);

/// How commands follow each other.
struct pace {
  /// How many are measured.
  std::size_t count;
  /// How many go before, to warm up.
  std::size_t warm_up;
  /// How long the client sleeps between a response and the next command.
  std::chrono::microseconds gap{0};
};

/// Runs one command after the other, each of which has to succeed, and returns
/// the median of their times in microseconds. Making commands and checking
/// responses is not in it.
result<double> time_commands(const transactor& run,
                             const command_source& commands, const pace& how);

/// Runs `count` commands that have to succeed, one after the other, and returns
/// commands per second.
result<double> rate_of(const transactor& run, const command_source& commands,
                       std::size_t count);

/// Runs `count` commands that have to succeed on several rings at once, each
/// ring with one command under way all the time, and returns commands per
/// second.
/// @param commands One source for all rings.
result<double> rate_of(const std::vector<xenio::frontend*>& rings,
                       const command_source& commands, std::size_t count);

} // namespace vtpm::deploy
