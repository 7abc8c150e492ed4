#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>

#include "deploy/result.hpp"
#include "protocol/bytes.hpp"
#include "xenio/loopback/frontend.hpp"

namespace vtpm::deploy {

/// Commands on standard input, responses on standard output.
struct stdio_mode {};

/// A command stream per connection, at "HOST:PORT" or "unix:PATH".
struct listen_mode {
  std::string address;
};

/// One command.
struct exec_mode {
  byte_vector command;
};

/// Everything vtpm-front can be told, checked and typed; see vtpm-front(1).
struct front_options {
  /// The device is one of this Xen domain, `who.handle`; else the frontend is a
  /// loopback one.
  bool xen = false;
  std::string connect_path;
  xenio::loopback::identity who;
  std::uint8_t locality = 0;
  /// How long one command may take.
  std::chrono::seconds limit{300};
  std::string log_level = "info";
  std::variant<stdio_mode, listen_mode, exec_mode> mode;
};

/// Reads the command line.
std::variant<front_options, early_exit> parse_front_options(
  int argc, const char* const* argv);

/// Reads one TPM command in hexadecimal; blanks and colons between octets are
/// allowed. Whether its size field tells the truth is for vtpmd to judge.
result<byte_vector> parse_hex_command(std::string_view text);

/// Returns octets as lower-case hexadecimal.
std::string to_hex(byte_view octets);

} // namespace vtpm::deploy
