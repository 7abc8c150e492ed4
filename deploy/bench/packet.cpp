#include "deploy/bench/packet.hpp"

#include <array>
#include <charconv>
#include <string>

#include "protocol/tpm_header.hpp"

namespace vtpm::deploy {

namespace {

constexpr auto header_size = protocol::tpm_header::encoded_size;
constexpr std::size_t size_offset = sizeof(std::uint16_t);

std::string hex(std::uint32_t code) {
  std::array<char, 2 * sizeof(code)> digits;
  constexpr auto base = 16;
  const auto end = std::to_chars(digits.begin(), digits.end(), code, base);
  return "0x" + std::string{digits.data(), end.ptr};
}

} // namespace

packet::packet(std::uint16_t tag, std::uint32_t code) {
  put(tag).put(std::uint32_t{0}).put(code);
}

packet& packet::put(byte_view octets) {
  octets_.insert(octets_.end(), octets.begin(), octets.end());
  return *this;
}

packet& packet::put_sized(byte_view octets) {
  return put(static_cast<std::uint16_t>(octets.size())).put(octets);
}

packet& packet::zeros(std::size_t count) {
  octets_.resize(octets_.size() + count);
  return *this;
}

byte_view packet::body() const noexcept {
  return byte_view{octets_}.subspan(header_size);
}

byte_vector packet::finish() {
  protocol::store_be(octets_.data() + size_offset,
                     static_cast<std::uint32_t>(octets_.size()));
  return octets_;
}

result<byte_view> part_of(byte_view response, std::size_t offset,
                          std::size_t count, const char* what) {
  if (offset > response.size() || count > response.size() - offset)
    return problem{std::string{"the response to "} + what + " has only "
                   + std::to_string(response.size()) + " octets"};
  return response.subspan(offset, count);
}

result<unit> expect_success(byte_view response, const char* what) {
  const auto header = protocol::tpm_header::decode_response(response);
  if (!header)
    return problem{std::string{"the answer to "} + what + " is no response"};
  if (header->code != protocol::tpm_success)
    return problem{std::string{what} + " failed with " + hex(header->code)};
  return unit{};
}

result<byte_vector> run_or_fail(const transactor& run, byte_view command,
                                const char* what) {
  auto response = run(command);
  if (!response)
    return problem{std::string{what} + ": " + response.error().text};
  if (auto ok = expect_success(*response, what); !ok)
    return ok.error();
  return response;
}

} // namespace vtpm::deploy
