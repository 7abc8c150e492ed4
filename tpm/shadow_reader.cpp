#include "tpm/shadow_reader.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "protocol/big_endian.hpp"

namespace vtpm::tpm {

using protocol::load_be;

namespace {

/// One half that is whole.
struct open_half {
  half_header header;
  secret_bytes plain;
};

/// Both halves of a cell, the newer first.
using open_cell = std::array<std::optional<open_half>, 2>;

std::string no_state() {
  return "it holds no whole state under this key";
}

class reader {
public:
  static basic_result<reader, std::string> make(byte_view file, byte_view key,
                                                const shadow_owner& owner) {
    const auto salt = decode_shadow_head(file, owner);
    if (!salt)
      return salt.error();
    auto cipher = shadow_cipher::make(key, owner, *salt);
    if (!cipher)
      return cipher.error().detail;
    return reader{file, *std::move(cipher)};
  }

  open_cell open(std::uint32_t number) {
    const auto place = place_of(number);
    auto out = open_cell{};
    for (auto i = 0u; i < 2; ++i) {
      const auto half = file_.subspan(place.half(i), place.half_size);
      const auto header = decode_half_header(half);
      if (auto plain = cipher_.open(number, header, half))
        out[i] = open_half{header, *std::move(plain)};
    }
    if (out[1]
        && (!out[0] || out[0]->header.sequence < out[1]->header.sequence))
      std::swap(out[0], out[1]);
    return out;
  }

  /// Finds the newest volatile state and the permanent one of its instant.
  bool read_state(shadow_content& out) {
    constexpr auto links_size = std::size_t{8 + 8};
    for (auto& half : open(volatile_cell)) {
      if (!half || half->plain.size() < links_size)
        continue;
      // The newest that is whole is what counts: its permanent state was
      // whole before it was begun.
      newest_ = half->header.sequence;
      const auto state_sequence
        = load_be<std::uint64_t>(half->plain.data() + 8);
      out.gen = load_be<std::uint64_t>(half->plain.data());
      out.volatile_state.assign(half->plain.begin() + links_size,
                                half->plain.end());
      for (const auto& state : open(state_cell))
        if (state && state->header.sequence == state_sequence)
          return take_state(state->plain, out);
      return false;
    }
    return false;
  }

  /// Returns the newest half that was written in one step with a volatile state
  /// that we have, or in none. Sets `damaged` if there was a later one.
  const open_half* newest_valid(const open_cell& cell, bool& damaged) const {
    for (const auto& half : cell) {
      if (!half)
        continue;
      if (half->header.needs <= newest_)
        return &*half;
      // Responses are copied after the step is complete: so it was.
      damaged = damaged || half->header.mark != delivery::decided;
    }
    return nullptr;
  }

  /// Reads everybody's last answer. Returns whether all fits together.
  bool read_answers(shadow_content& out) {
    auto damaged = false;
    const auto count
      = (file_.size() - shadow_size_min) / (2 * answer_half_size);
    for (auto i = std::uint32_t{0}; i < count; ++i) {
      const auto cell = open(first_answer_cell + i);
      const auto* half = newest_valid(cell, damaged);
      if (half == nullptr)
        continue;
      auto answer = decode_answer(half->plain);
      if (!answer || half->header.mark < delivery::decided
          || half->header.mark > delivery::copied)
        return false;
      answer->mark = half->header.mark;
      const auto same
        = [&](const auto& other) { return other.who == answer->who; };
      if (std::ranges::any_of(out.answers, same))
        return false;
      out.answers.push_back(*std::move(answer));
    }
    return !damaged;
  }

  bool read_platform(shadow_content& out) {
    auto damaged = false;
    const auto cell = open(platform_cell);
    if (const auto* half = newest_valid(cell, damaged))
      out.platform.assign(half->plain.begin(), half->plain.end());
    return !damaged;
  }

private:
  reader(byte_view file, shadow_cipher cipher)
    : file_(file), cipher_(std::move(cipher)) {
    // nop
  }

  static bool take_state(byte_view plain, shadow_content& out) {
    constexpr auto size_size = std::size_t{4};
    if (plain.size() < size_size)
      return false;
    const auto size = load_be<std::uint32_t>(plain.data());
    plain = plain.subspan(size_size);
    if (size > plain.size())
      return false;
    auto state = std::make_shared<snapshot>();
    const auto permanent = plain.first(size);
    const auto savestate = plain.subspan(size);
    state->permanent.assign(permanent.begin(), permanent.end());
    state->savestate.assign(savestate.begin(), savestate.end());
    out.state = std::move(state);
    return true;
  }

  byte_view file_;
  shadow_cipher cipher_;
  /// Sequence number of the volatile state in use.
  std::uint64_t newest_ = 0;
};

} // namespace

basic_result<shadow_content, std::string> read_shadow_state(
  byte_view file, byte_view key, const shadow_owner& owner) {
  auto source = reader::make(file, key, owner);
  if (!source)
    return source.error();
  auto out = shadow_content{};
  // Each half is authentic or not taken, and the volatile state names the
  // permanent one it belongs to: whatever else changed meanwhile, these fit.
  if (!source->read_state(out))
    return no_state();
  return out;
}

basic_result<shadow_content, std::string> read_shadow(
  byte_view file, byte_view key, const shadow_owner& owner) {
  auto source = reader::make(file, key, owner);
  if (!source)
    return source.error();
  auto out = shadow_content{};
  if (!source->read_state(out))
    return no_state();
  if (!source->read_answers(out) || !source->read_platform(out))
    return std::string{"it is damaged"};
  return out;
}

} // namespace vtpm::tpm
