#include "xenio/loopback/raw_frontend.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <random>
#include <variant>

#include <poll.h>

#include "xenio/loopback/message_socket.hpp"

namespace vtpm::xenio::loopback {

namespace {

using clock = std::chrono::steady_clock;

xenbus_state parse_state(std::string_view text) noexcept {
  unsigned value = 0;
  const auto end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc{} || parsed.ptr != end
      || value > static_cast<unsigned>(xenbus_state::closed))
    return xenbus_state::unknown;
  return static_cast<xenbus_state>(value);
}

/// Returns a number that an earlier connection of this device hardly used, so
/// that a backend can tell the two apart.
std::uint32_t fresh_number() {
  static thread_local std::random_device source;
  return std::uniform_int_distribution<std::uint32_t>{1}(source);
}

} // namespace

result<std::unique_ptr<guest_page>> guest_page::make() {
  auto file = make_page_file();
  if (!file)
    return file.error();
  auto mapping = page_mapping::map(file->get());
  if (!mapping)
    return mapping.error();
  return std::unique_ptr<guest_page>{
    new guest_page{*std::move(file), *std::move(mapping)}};
}

result<raw_frontend> raw_frontend::open(const std::string& socket_path) {
  auto socket = dial(socket_path);
  if (!socket)
    return socket.error();
  return raw_frontend{*std::move(socket)};
}

// -- speaking -----------------------------------------------------------------

result<unit> raw_frontend::send(byte_view octets,
                                std::span<const int> descriptors) {
  return send_packet(socket_.get(), octets, descriptors);
}

result<unit> raw_frontend::offer_page(grant_ref number, int file) {
  return send(wire::encode(wire::page{number}), {&file, 1});
}

result<unit> raw_frontend::offer_doorbell(port number, int socket) {
  return send(wire::encode(wire::doorbell{number}), {&socket, 1});
}

result<unit> raw_frontend::write(std::string_view key, std::string_view value) {
  return send(wire::encode(wire::node{std::string{key}, std::string{value}}));
}

result<unit> raw_frontend::write_state(xenbus_state state) {
  return write("state", std::to_string(static_cast<unsigned>(state)));
}

result<unit> raw_frontend::publish(int page_file, int doorbell_socket) {
  const auto ref = fresh_number();
  const auto channel = fresh_number();
  if (auto sent = offer_page(ref, page_file); !sent)
    return sent;
  if (auto sent = offer_doorbell(channel, doorbell_socket); !sent)
    return sent;
  if (auto sent = write("ring-ref", std::to_string(ref)); !sent)
    return sent;
  if (auto sent = write("event-channel", std::to_string(channel)); !sent)
    return sent;
  if (auto sent = write("feature-protocol-v2", "1"); !sent)
    return sent;
  return write_state(xenbus_state::initialised);
}

// -- listening ----------------------------------------------------------------

result<unit> raw_frontend::take(const wire::message& message) {
  if (auto reason = std::get_if<wire::refusal>(&message)) {
    refusal_ = *reason;
    return error{errc::refused, reason->reason};
  }
  if (std::holds_alternative<wire::accepted>(message)) {
    is_accepted_ = true;
    return unit{};
  }
  auto node = std::get_if<wire::node>(&message);
  if (node == nullptr)
    return error{errc::protocol, "vtpmd sent a frontend's message"};
  if (node->key == "state")
    backend_state_ = parse_state(node->value.value_or(""));
  else if (node->key == "feature-protocol-v2")
    backend_speaks_v2_ = node->value == "1";
  return unit{};
}

result<unit> raw_frontend::update() {
  for (;;) {
    auto got = receive_packet(socket_.get());
    if (!got)
      return got.error();
    if (!*got)
      return unit{};
    auto message = wire::decode((*got)->octets);
    if (!message)
      return message.error();
    if (auto taken = take(*message); !taken)
      return taken;
  }
}

template <class Predicate>
result<unit> raw_frontend::wait(Predicate done, std::chrono::milliseconds limit,
                                const char* what) {
  const auto deadline = clock::now() + limit;
  for (;;) {
    if (auto updated = update(); !updated)
      return updated;
    if (done())
      return unit{};
    const auto left
      = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now());
    if (left.count() <= 0)
      return error{errc::timed_out, what};
    pollfd state = {socket_.get(), POLLIN, 0};
    ::poll(&state, 1,
           static_cast<int>(std::min<std::int64_t>(left.count(), 1000)));
  }
}

result<unit> raw_frontend::claim(const identity& who,
                                 std::chrono::milliseconds limit) {
  if (who.uuid.size() != wire::uuid_size)
    return error{errc::refused,
                 "the uuid '" + who.uuid + "' has not "
                   + std::to_string(wire::uuid_size) + " characters"};
  auto sent = send(
    wire::encode(wire::claim{wire::version, who.domain, who.handle, who.uuid}));
  if (!sent)
    return sent;
  return wait([this] { return is_accepted_; }, limit,
              "vtpmd does not answer the claim");
}

result<unit> raw_frontend::await(std::initializer_list<xenbus_state> wanted,
                                 std::chrono::milliseconds limit) {
  const auto is_there = [this, wanted] {
    return std::find(wanted.begin(), wanted.end(), backend_state_)
      != wanted.end();
  };
  return wait(is_there, limit, "the backend does not get ready");
}

} // namespace vtpm::xenio::loopback
