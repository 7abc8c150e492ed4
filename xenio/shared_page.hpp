#pragma once

#include <cstddef>
#include <cstdint>

#include "protocol/bytes.hpp"
#include "protocol/tpmif.hpp"

namespace vtpm::xenio {

/// One page that a guest shares with us and may change at any moment. Hands out
/// copies only, so nobody can check one value and use another. Implementations
/// differ in how they map and unmap it.
class shared_page {
public:
  virtual ~shared_page() = default;

  shared_page(const shared_page&) = delete;
  shared_page& operator=(const shared_page&) = delete;

  /// Reads the state octet; what the guest wrote before it is visible after.
  std::uint8_t load_state() const noexcept;

  /// Writes the state octet after everything written before this call.
  void store_state(protocol::page_state state) noexcept;

  /// Copies the fixed part, once, and decodes the copy.
  protocol::page_header load_header() const noexcept;

  /// Writes the length field.
  void store_length(std::uint32_t length) noexcept;

  /// Copies octets out, each exactly once. Returns `false`, and copies nothing,
  /// when out of range.
  [[nodiscard]] bool copy_in(std::size_t offset,
                             std::span<std::uint8_t> target) const noexcept;

  /// Copies octets to the guest. Returns `false`, and copies nothing, when out
  /// of range.
  [[nodiscard]] bool copy_out(std::size_t offset, byte_view source) noexcept;

protected:
  /// @param page `protocol::page_size` octets, mapped for this object's life,
  ///             aligned to 8 at least.
  explicit shared_page(std::uint8_t* page) noexcept : page_(page) {
    // nop
  }

  std::uint8_t* page() const noexcept {
    return page_;
  }

  /// Called before each read. Does nothing; the simulated page lets its guest
  /// change the content here.
  virtual void about_to_read() const noexcept;

private:
  std::uint8_t* page_;
};

} // namespace vtpm::xenio
