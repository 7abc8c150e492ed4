// Goal: no text that reaches the control socket, or the administrator's gate on
// a ring, can do more than ask one of the known requests or get a refusal.
// Method: the input is read as a request and as a reply; what is understood
// must come back the same after encoding, and every answer must be one line.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "deploy/ctl/tables.hpp"
#include "deploy/vtpmd/control_request.hpp"

using namespace vtpm::deploy;

namespace {

void require(bool holds) {
  if (!holds)
    std::abort();
}

/// What vtpmd sends must be one line of printable ASCII.
void check_line(const std::string& reply) {
  for (const auto one : reply)
    require(one >= 0x20 && one <= 0x7E);
}

void check_request(std::string_view text) {
  const auto request = parse_control_request(text);
  if (!request) {
    check_line(control_failure(request.error().text));
    return;
  }
  const auto again = parse_control_request(encode_control_request(*request));
  require(again && *again == *request);
}

/// vtpmctl's side: a reply that came over a ring or a socket.
void check_reply(std::string_view text) {
  const auto reply = parse_control_reply(text);
  if (!reply) {
    check_line(control_failure(reply.error().text));
    return;
  }
  const auto again = parse_control_reply(control_success(*reply));
  require(static_cast<bool>(again));
  for (const auto request :
       {control_request::status, control_request::frontends,
        control_request::stats})
    for (const auto one : to_tables(request, *reply))
      require(one == '\n' || (one >= 0x20 && one <= 0x7E));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  // A copy of its own, so that the sanitizer sees a step beyond the end.
  const std::string text{reinterpret_cast<const char*>(data), size};
  check_request(text);
  check_reply(text);
  return 0;
}
