#include "xenio/loopback/wire.hpp"

#include <algorithm>
#include <cassert>
#include <concepts>

namespace vtpm::xenio::loopback::wire {

namespace {

/// The first octet; the values are on the wire.
enum class kind : std::uint8_t {
  claim = 1,
  page = 2,
  doorbell = 3,
  node = 4,
  accepted = 5,
  refusal = 6,
};

template <std::unsigned_integral T>
T load_le(byte_view source, std::size_t offset) noexcept {
  auto value = std::uint64_t{0};
  for (auto i = sizeof(T); i-- > 0;)
    value = (value << 8) | source[offset + i];
  return static_cast<T>(value);
}

template <std::unsigned_integral T>
void append_le(byte_vector& target, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i)
    target.push_back(
      static_cast<std::uint8_t>(std::uint64_t{value} >> (8 * i)));
}

void append_text(byte_vector& target, const std::string& text) {
  target.insert(target.end(), text.begin(), text.end());
}

std::string text_at(byte_view source, std::size_t offset, std::size_t size) {
  const auto part = source.subspan(offset, size);
  return {part.begin(), part.end()};
}

byte_vector start(kind what) {
  return {static_cast<std::uint8_t>(what)};
}

// -- encoding -----------------------------------------------------------------

byte_vector encode_one(const claim& content) {
  assert(content.uuid.size() == uuid_size);
  auto packet = start(kind::claim);
  packet.push_back(content.version);
  append_le(packet, content.domain);
  append_le(packet, content.handle);
  append_text(packet, content.uuid);
  return packet;
}

byte_vector encode_number(kind what, std::uint32_t number) {
  byte_vector packet{static_cast<std::uint8_t>(what), 0, 0, 0};
  append_le(packet, number);
  return packet;
}

byte_vector encode_one(const page& content) {
  return encode_number(kind::page, content.number);
}

byte_vector encode_one(const doorbell& content) {
  return encode_number(kind::doorbell, content.number);
}

byte_vector encode_one(const node& content) {
  const auto text = content.value.value_or(std::string{});
  assert(content.key.size() <= key_size_max);
  assert(text.size() <= value_size_max);
  auto packet = start(kind::node);
  packet.push_back(static_cast<std::uint8_t>(content.key.size()));
  packet.push_back(static_cast<std::uint8_t>(text.size()));
  packet.push_back(content.value ? 0 : 1);
  append_text(packet, content.key);
  append_text(packet, text);
  return packet;
}

byte_vector encode_one(const accepted& content) {
  auto packet = start(kind::accepted);
  packet.push_back(content.version);
  return packet;
}

byte_vector encode_one(const refusal& content) {
  assert(content.reason.size() <= reason_size_max);
  auto packet = start(kind::refusal);
  packet.push_back(static_cast<std::uint8_t>(content.code));
  append_le(packet, static_cast<std::uint16_t>(content.reason.size()));
  append_text(packet, content.reason);
  return packet;
}

// -- decoding -----------------------------------------------------------------

error malformed(const char* why) {
  return {errc::protocol, why};
}

/// Reads a uuid in its usual form into lower case.
std::optional<std::string> decode_uuid(std::string text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto& c = text[i];
    if (c >= 'A' && c <= 'F')
      c = static_cast<char>(c - 'A' + 'a');
    const auto is_dash_place = i == 8 || i == 13 || i == 18 || i == 23;
    const auto is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (is_dash_place ? c != '-' : !is_hex)
      return std::nullopt;
  }
  return text;
}

result<message> decode_claim(byte_view packet) {
  if (packet.size() != claim::encoded_size)
    return malformed("a claim of the wrong size");
  auto uuid = decode_uuid(text_at(packet, 8, uuid_size));
  if (!uuid)
    return malformed("a claim whose uuid is none");
  return message{claim{packet[1], load_le<domid>(packet, 2),
                       load_le<std::uint32_t>(packet, 4), std::move(*uuid)}};
}

template <class T>
result<message> decode_number(byte_view packet) {
  if (packet.size() != T::encoded_size)
    return malformed("an offer of the wrong size");
  if (packet[1] != 0 || packet[2] != 0 || packet[3] != 0)
    return malformed("an offer with padding that is not zero");
  return message{T{load_le<std::uint32_t>(packet, 4)}};
}

result<message> decode_node(byte_view packet) {
  if (packet.size() < node::header_size)
    return malformed("a node message cut short");
  const auto key_size = std::size_t{packet[1]};
  const auto value_size = std::size_t{packet[2]};
  const auto is_absent = packet[3] == 1;
  if (packet[3] > 1 || (is_absent && value_size != 0))
    return malformed("a node both absent and present");
  if (key_size == 0 || key_size > key_size_max || value_size > value_size_max)
    return malformed("a node with a key or value out of bounds");
  if (packet.size() != node::header_size + key_size + value_size)
    return malformed("a node message of the wrong size");
  auto content = node{text_at(packet, node::header_size, key_size), {}};
  if (!is_absent)
    content.value = text_at(packet, node::header_size + key_size, value_size);
  return message{std::move(content)};
}

result<message> decode_accepted(byte_view packet) {
  if (packet.size() != accepted::encoded_size)
    return malformed("an acceptance of the wrong size");
  return message{accepted{packet[1]}};
}

result<message> decode_refusal(byte_view packet) {
  if (packet.size() < refusal::header_size)
    return malformed("a refusal cut short");
  const auto code = packet[1];
  if (code < static_cast<std::uint8_t>(refusal_code::malformed)
      || code > static_cast<std::uint8_t>(refusal_code::full))
    return malformed("a refusal with an unknown code");
  const auto size = std::size_t{load_le<std::uint16_t>(packet, 2)};
  if (size > reason_size_max || packet.size() != refusal::header_size + size)
    return malformed("a refusal of the wrong size");
  return message{refusal{static_cast<refusal_code>(code),
                         text_at(packet, refusal::header_size, size)}};
}

} // namespace

byte_vector encode(const message& content) {
  return std::visit([](const auto& one) { return encode_one(one); }, content);
}

result<message> decode(byte_view packet) {
  if (packet.empty())
    return malformed("an empty message");
  if (packet.size() > message_size_max)
    return malformed("an oversized message");
  switch (static_cast<kind>(packet[0])) {
    case kind::claim:
      return decode_claim(packet);
    case kind::page:
      return decode_number<page>(packet);
    case kind::doorbell:
      return decode_number<doorbell>(packet);
    case kind::node:
      return decode_node(packet);
    case kind::accepted:
      return decode_accepted(packet);
    case kind::refusal:
      return decode_refusal(packet);
  }
  return malformed("a message of an unknown kind");
}

} // namespace vtpm::xenio::loopback::wire
