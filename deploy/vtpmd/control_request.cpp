#include "deploy/vtpmd/control_request.hpp"

#include <array>
#include <cassert>
#include <utility>

#include <nlohmann/json.hpp>

#include "protocol/admin.hpp"

namespace vtpm::deploy {

namespace {

using nlohmann::json;

constexpr auto all_requests
  = std::array{control_request::status,    control_request::frontends,
               control_request::stats,     control_request::reset,
               control_request::keep_next, control_request::resume,
               control_request::abandon,   control_request::restart,
               control_request::shutdown};

constexpr auto known_requests
  = "status, frontends, stats, reset, keep-next, resume, abandon, restart or "
    "shutdown";

std::string to_text(const json& object) {
  // Names and uuids in reports may be a guest's: nothing in them may end the
  // line, leave ASCII or make `dump` throw.
  return object.dump(-1, ' ', true, json::error_handler_t::replace);
}

} // namespace

const char* to_string(control_request request) noexcept {
  switch (request) {
    case control_request::status:
      return "status";
    case control_request::frontends:
      return "frontends";
    case control_request::stats:
      return "stats";
    case control_request::reset:
      return "reset";
    case control_request::keep_next:
      return "keep-next";
    case control_request::resume:
      return "resume";
    case control_request::abandon:
      return "abandon";
    case control_request::restart:
      return "restart";
    case control_request::shutdown:
      return "shutdown";
  }
  return "?";
}

result<control_request> parse_control_request_name(std::string_view name) {
  for (const auto request : all_requests)
    if (name == to_string(request))
      return request;
  return problem{std::string{"unknown request: ask for "} + known_requests};
}

result<control_request> parse_control_request(std::string_view text) {
  if (text.size() > protocol::admin_text_size_max)
    return problem{"the request is longer than "
                   + std::to_string(protocol::admin_text_size_max) + " octets"};
  auto keys = 0;
  const auto count = [&keys](int, json::parse_event_t event, const json&) {
    keys += event == json::parse_event_t::key ? 1 : 0;
    return true;
  };
  const auto object
    = json::parse(text.begin(), text.end(), count, /*allow_exceptions=*/false);
  // The parser stops at a zero octet as if it were the end.
  if (!object.is_object() || text.find('\0') != std::string_view::npos)
    return problem{"the request is not a JSON object"};
  const auto member = object.find("request");
  if (keys != 1 || member == object.end() || !member->is_string())
    return problem{"the request must have one member, the string \"request\""};
  return parse_control_request_name(member->get_ref<const std::string&>());
}

std::string encode_control_request(control_request request) {
  return to_text({{"request", to_string(request)}});
}

bool allowed_on_ring(control_request request) noexcept {
  switch (request) {
    case control_request::status:
    case control_request::frontends:
    case control_request::stats:
    case control_request::reset:
    case control_request::keep_next:
      return true;
    case control_request::resume:
    case control_request::abandon:
    case control_request::restart:
    case control_request::shutdown:
      return false;
  }
  return false;
}

std::string control_success(json body) {
  assert(body.is_object());
  body["ok"] = true;
  return to_text(body);
}

std::string control_failure(std::string_view why) {
  return to_text({{"ok", false}, {"error", why}});
}

result<json> parse_control_reply(std::string_view text) {
  auto object = json::parse(text.begin(), text.end(), nullptr,
                            /*allow_exceptions=*/false);
  if (!object.is_object() || !object.contains("ok")
      || !object["ok"].is_boolean())
    return problem{"the reply is not one of vtpmd's"};
  if (object["ok"].get<bool>()) {
    object.erase("ok");
    return object;
  }
  const auto why = object.find("error");
  if (why == object.end() || !why->is_string())
    return problem{"the reply is not one of vtpmd's"};
  return problem{why->get<std::string>()};
}

} // namespace vtpm::deploy
