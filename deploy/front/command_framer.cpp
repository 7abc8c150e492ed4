#include "deploy/front/command_framer.hpp"

#include <cstddef>

#include "protocol/big_endian.hpp"
#include "protocol/tpm_header.hpp"
#include "protocol/tpmif.hpp"

namespace vtpm::deploy {

namespace {

/// Where a header's size field starts and ends, see `protocol::tpm_header`.
constexpr auto size_begin = std::size_t{2};
constexpr auto size_end = size_begin + sizeof(std::uint32_t);

} // namespace

void command_framer::push(byte_view octets) {
  buffer_.insert(buffer_.end(), octets.begin(), octets.end());
}

result<std::optional<byte_vector>> command_framer::next() {
  using maybe_command = std::optional<byte_vector>;
  if (buffer_.size() < size_end)
    return maybe_command{};
  const auto size
    = protocol::load_be<std::uint32_t>(buffer_.data() + size_begin);
  if (size < protocol::tpm_header::encoded_size
      || size > protocol::packet_size_max)
    return problem{
      "a command says it has " + std::to_string(size) + " octets; from "
      + std::to_string(protocol::tpm_header::encoded_size) + " to "
      + std::to_string(protocol::packet_size_max) + " are possible"};
  if (buffer_.size() < size)
    return maybe_command{};
  const auto end = buffer_.begin() + static_cast<std::ptrdiff_t>(size);
  byte_vector command{buffer_.begin(), end};
  buffer_.erase(buffer_.begin(), end);
  return maybe_command{std::move(command)};
}

} // namespace vtpm::deploy
