#pragma once

#include <cassert>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <doctest/doctest.h>

#include "protocol/big_endian.hpp"
#include "protocol/bytes.hpp"
#include "tpm/libtpms_engine.hpp"

namespace vtpm::tests {

/// Returns the octets that pairs of hex digits in `text` name; blanks between
/// pairs do not count.
inline byte_vector octets(std::string_view text) {
  const auto digit = [](char c) {
    return static_cast<unsigned>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  };
  auto result = byte_vector{};
  for (auto i = std::size_t{0}; i < text.size(); ++i)
    if (text[i] != ' ') {
      assert(i + 1 < text.size());
      const auto value = digit(text[i]) << 4 | digit(text[i + 1]);
      result.push_back(static_cast<std::uint8_t>(value));
      ++i;
    }
  return result;
}

/// Inverse of `octets`, without blanks.
inline std::string hex(byte_view data) {
  static constexpr char digits[] = "0123456789abcdef";
  auto text = std::string{};
  for (const auto octet : data) {
    text += digits[octet >> 4];
    text += digits[octet & 0xf];
  }
  return text;
}

/// Returns the packet of a tag and what follows the size, which it fills in.
inline byte_vector packet(std::string_view tag, std::string_view rest) {
  auto result = octets(std::string{tag} + "00000000" + std::string{rest});
  protocol::store_be(result.data() + 2,
                     static_cast<std::uint32_t>(result.size()));
  return result;
}

inline std::string hex_of(std::uint32_t value) {
  std::uint8_t wire[4];
  protocol::store_be(wire, value);
  return hex(wire);
}

/// A 1.2 command without authorization (TPM_TAG_RQU_COMMAND).
inline byte_vector tpm12(std::string_view ordinal_and_rest) {
  return packet("00c1", ordinal_and_rest);
}

/// A 2.0 command without sessions.
inline byte_vector tpm20(std::string_view code_and_rest) {
  return packet("8001", code_and_rest);
}

/// A 2.0 command with one password session, the password being `password`.
inline byte_vector tpm20_auth(std::string_view code_and_handles,
                              std::string_view parameters,
                              std::string_view password = "") {
  const auto size = static_cast<std::uint32_t>(password.size() / 2);
  const auto text = std::string{code_and_handles} + hex_of(9 + size)
    + "40000009 0000 00" + hex_of(size).substr(4) + std::string{password}
    + std::string{parameters};
  return packet("8002", text);
}

/// Returns the result in a response's header.
inline std::uint32_t code_of(byte_view response) {
  REQUIRE(response.size() >= 10);
  return protocol::load_be<std::uint32_t>(response.data() + 6);
}

/// Returns what follows a response's header, as hex digits.
inline std::string body_of(byte_view response) {
  REQUIRE(response.size() >= 10);
  return hex(response.subspan(10));
}

/// Returns a new TPM, always the same one within a process: 1.2 takes long to
/// make.
inline const tpm::snapshot_ptr& factory_state(tpm_version version) {
  static tpm::snapshot_ptr states[2];
  auto& state = states[version == tpm_version::v2_0];
  if (state == nullptr) {
    auto made = tpm::manufacture_libtpms(version, {});
    REQUIRE_MESSAGE(made, (made ? "" : made.error().detail));
    state = *made;
  }
  return state;
}

/// A TPM that is switched on.
class powered_tpm {
public:
  /// None: switches off what is assigned to.
  powered_tpm() = default;

  explicit powered_tpm(tpm_version version,
                       tpm::startup how = tpm::startup::clear)
    : powered_tpm(version, factory_state(version), how) {
    // nop
  }

  powered_tpm(tpm_version version, tpm::snapshot_ptr state,
              tpm::startup how = tpm::startup::clear,
              bool physical_presence = false)
    : version_(version) {
    auto on = tpm::power_on_libtpms(version, std::move(state), how,
                                    physical_presence);
    REQUIRE_MESSAGE(on, (on ? "" : on.error().detail));
    instance_ = std::move(on->instance);
    changed = std::move(on->changed);
  }

  tpm::engine& operator*() noexcept {
    return *instance_;
  }

  tpm::engine* operator->() noexcept {
    return instance_.get();
  }

  /// Runs one command and returns its result; keeps the response and what it
  /// changed.
  std::uint32_t run(const byte_vector& request, std::uint8_t locality = 0) {
    auto done = instance_->execute(locality, request);
    response = std::move(done.response);
    changed = std::move(done.changed);
    return code_of(response);
  }

  /// Cuts the power, without a Shutdown, and switches on again, with the
  /// presence pin released.
  void crash(tpm::startup how = tpm::startup::clear) {
    const auto state = instance_->current();
    instance_.reset();
    *this = powered_tpm{version_, state, how};
  }

  byte_vector response;
  tpm::snapshot_ptr changed;

private:
  tpm_version version_ = tpm_version::v2_0;
  std::unique_ptr<tpm::engine> instance_;
};

} // namespace vtpm::tests
