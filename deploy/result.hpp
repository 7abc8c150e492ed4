#pragma once

#include <string>

#include "protocol/result.hpp"

namespace vtpm::deploy {

/// One line for the operator: what is wrong and what to do about it. No line
/// feed, no secret.
struct problem {
  std::string text;
};

template <class T>
using result = basic_result<T, problem>;

/// What every tool exits with.
namespace exit_code {

inline constexpr int success = 0;
/// vtpmd refused, or the work failed.
inline constexpr int failure = 1;
/// The command line or configuration makes no sense.
inline constexpr int usage = 2;
/// Nobody answers at the socket.
inline constexpr int no_connection = 3;

} // namespace exit_code

/// Ends a program before its work begins: help, version, or a usage error.
struct early_exit {
  int code;
  /// For standard output.
  std::string out;
  /// For standard error: one line without its line feed, or nothing.
  std::string err;
};

} // namespace vtpm::deploy
