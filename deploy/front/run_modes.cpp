#include "deploy/front/run_modes.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <unistd.h>

#include "deploy/front/command_framer.hpp"
#include "deploy/front/stream_server.hpp"
#include "deploy/vtpmd/signals.hpp"
#include "protocol/big_endian.hpp"
#include "protocol/log.hpp"
#include "protocol/ordinal.hpp"
#include "protocol/tpm_header.hpp"
#include "protocol/tpmif.hpp"

namespace vtpm::deploy {

namespace {

result<unit> write_all(int output, byte_view octets) {
  while (!octets.empty()) {
    const auto count = ::write(output, octets.data(), octets.size());
    if (count >= 0)
      octets = octets.subspan(static_cast<std::size_t>(count));
    else if (errno != EINTR)
      return problem{std::string{"cannot write a response: "}
                     + std::strerror(errno)};
  }
  return unit{};
}

/// Runs every command that is complete.
result<unit> run_complete(command_framer& framer, int output,
                          const transactor& run) {
  for (;;) {
    auto command = framer.next();
    if (!command)
      return command.error();
    if (!*command)
      return unit{};
    const auto response = run(**command);
    if (!response)
      return response.error();
    if (auto written = write_all(output, *response); !written)
      return written;
  }
}

std::string result_name(std::uint32_t code) {
  if (code == protocol::tpm_success)
    return "success";
  std::array<char, 24> text;
  std::snprintf(text.data(), text.size(), "error 0x%x", code);
  return text.data();
}

} // namespace

result<unit> serve_stdio(int input, int output, const transactor& run) {
  command_framer framer;
  for (;;) {
    std::array<std::uint8_t, protocol::packet_size_max> buffer;
    const auto count = ::read(input, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return problem{std::string{"cannot read a command: "}
                     + std::strerror(errno)};
    if (count == 0 && framer.incomplete())
      return problem{"the input ends inside a command"};
    if (count == 0)
      return unit{};
    framer.push(byte_view{buffer}.first(static_cast<std::size_t>(count)));
    if (auto done = run_complete(framer, output, run); !done)
      return done;
  }
}

result<unit> execute_one(const exec_mode& mode, const transactor& run) {
  using clock = std::chrono::steady_clock;
  const auto start = clock::now();
  const auto response = run(mode.command);
  const auto elapsed = clock::now() - start;
  if (!response)
    return response.error();
  const auto header = protocol::tpm_header::decode_response(*response);
  if (!header)
    return problem{std::string{"the response is malformed: "}
                   + to_string(header.error())};
  const auto version = version_of(mode.command);
  const auto ordinal = protocol::load_be<std::uint32_t>(
    mode.command.data() + protocol::tpm_header::encoded_size
    - sizeof(std::uint32_t));
  const auto name = std::string{protocol::attributes_of(version, ordinal).name};
  std::printf("%s\n", to_hex(*response).c_str());
  std::fprintf(
    stderr, "%s (TPM %s, 0x%x): %s, %zu octets in %lld us\n", name.c_str(),
    to_string(version), ordinal, result_name(header->code).c_str(),
    response->size(),
    static_cast<long long>(
      std::chrono::duration_cast<std::chrono::microseconds>(elapsed).count()));
  return unit{};
}

result<unit> serve_connections(const listen_mode& mode, transactor run) {
  auto listener = stream_listener::open(mode.address);
  if (!listener)
    return listener.error();
  const auto stop = signal_source();
  if (!stop)
    return stop.error();
  log().info("listening on {}", listener->name());
  stream_server server{std::move(*listener), std::move(run)};
  auto ended = server.run(stop->get());
  // The command's client is gone with us, and so is the ring that it waits
  // for: nothing is left to wait for.
  if (ended && server.busy())
    std::_Exit(exit_code::success);
  return ended;
}

} // namespace vtpm::deploy
