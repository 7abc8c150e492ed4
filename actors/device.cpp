#include "actors/device.hpp"

#include "protocol/decimal.hpp"

namespace vtpm::actors {

namespace {

using xenio::xenbus_state;

std::optional<std::uint32_t> parse_number(const device_nodes::value& text) {
  return protocol::parse_decimal<std::uint32_t>(text.value_or(""));
}

device_step announce_once(const device_view& view) noexcept {
  return view.connected || view.backend != xenbus_state::init_wait
    ? device_step::announce
    : device_step::nothing;
}

} // namespace

xenio::xenbus_state parse_xenbus_state(
  const device_nodes::value& text) noexcept {
  if (text && text->size() == 1 && text->front() >= '1' && text->front() <= '6')
    return static_cast<xenbus_state>(text->front() - '0');
  return xenbus_state::unknown;
}

std::optional<connection_offer> parse_offer(const device_nodes& nodes,
                                            std::string& problem) {
  if (nodes.feature_protocol_v2 != "1") {
    problem = "it does not speak protocol v2";
    return std::nullopt;
  }
  const auto ref = parse_number(nodes.ring_ref);
  if (!ref) {
    problem = "its ring-ref is not a number";
    return std::nullopt;
  }
  const auto channel = parse_number(nodes.event_channel);
  if (!channel) {
    problem = "its event-channel is not a number";
    return std::nullopt;
  }
  return connection_offer{*ref, *channel};
}

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const auto slash = path.find('/');
    parts.emplace_back(path.substr(0, slash));
    path = slash == path.npos ? std::string_view{} : path.substr(slash + 1);
  }
  return parts;
}

device_step next_step(const device_view& view) noexcept {
  if (!view.backend_exists)
    return device_step::forget;
  const auto told_to_close = view.backend == xenbus_state::closing
    && view.written != xenbus_state::closing;
  if (!view.online || told_to_close) {
    if (view.connected || view.backend != xenbus_state::closed)
      return device_step::close;
    return view.ours_to_remove && view.closed_for_long ? device_step::remove
                                                       : device_step::nothing;
  }
  if (view.backend == xenbus_state::initialising)
    return device_step::announce;
  switch (view.frontend) {
    case xenbus_state::initialised:
    case xenbus_state::connected:
      if (view.announced_just_now)
        return device_step::nothing;
      return (view.connected || view.refused) && view.same_offer
          && !view.restarted
        ? device_step::nothing
        : device_step::connect;
    case xenbus_state::closing:
      return view.connected || view.written != xenbus_state::closing
        ? device_step::follow_closing
        : device_step::nothing;
    case xenbus_state::unknown:
    case xenbus_state::initialising:
    case xenbus_state::init_wait:
    case xenbus_state::closed:
      break;
  }
  return announce_once(view);
}

} // namespace vtpm::actors
