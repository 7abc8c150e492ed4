#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include <unistd.h>

#include "deploy/command_line.hpp"
#include "deploy/front/front_options.hpp"
#include "deploy/front/run_modes.hpp"
#include "deploy/vtpmd/signals.hpp"
#include "protocol/log.hpp"
#include "xenio/loopback/frontend.hpp"
#include "xenio/xen/frontend.hpp"

namespace {

using namespace vtpm;
using namespace vtpm::deploy;

xenio::result<std::unique_ptr<xenio::frontend>> connect_to(
  const front_options& given) {
  if (!given.xen)
    return xenio::loopback::connect(given.connect_path, given.who);
  const auto handle = std::to_string(given.who.handle);
  // Two frontends of one device would end each other's connections.
  const auto driver = "/sys/bus/xen/devices/vtpm-" + handle + "/driver";
  if (::access(driver.c_str(), F_OK) == 0)
    return xenio::error{xenio::errc::refused,
                        "the kernel's driver has the device: use /dev/tpm0, or "
                        "write vtpm-"
                          + handle + " into " + driver + "/unbind"};
  auto parts = xenio::xen::open_frontend_parts();
  if (!parts)
    return parts.error();
  return xenio::xen::connect(*std::move(parts), "device/vtpm/" + handle);
}

int complain(const std::string& text, int code) {
  std::fprintf(stderr, "vtpm-front: %s\n", text.c_str());
  return code;
}

result<unit> run(const front_options& given, xenio::frontend& ring) {
  const auto transact = make_transactor(ring, given.locality, given.limit);
  if (const auto* mode = std::get_if<listen_mode>(&given.mode))
    return serve_connections(*mode, transact);
  if (const auto* mode = std::get_if<exec_mode>(&given.mode))
    return execute_one(*mode, transact);
  return serve_stdio(STDIN_FILENO, STDOUT_FILENO, transact);
}

} // namespace

int main(int argc, char** argv) {
  const auto parsed = parse_front_options(argc, argv);
  if (const auto* exit = std::get_if<early_exit>(&parsed))
    return leave(*exit);
  const auto& given = std::get<front_options>(parsed);
  set_log_level(given.log_level);
  ignore_broken_pipes();
  // The other modes end at once by a signal: they have nothing to tidy up.
  if (std::holds_alternative<listen_mode>(given.mode))
    block_signals();
  const auto ring = connect_to(given);
  if (!ring)
    return complain(ring.error().detail,
                    ring.error().code == xenio::errc::refused
                      ? exit_code::failure
                      : exit_code::no_connection);
  const auto done = run(given, **ring);
  return done ? exit_code::success
              : complain(done.error().text, exit_code::failure);
}
