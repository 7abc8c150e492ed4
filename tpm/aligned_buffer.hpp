#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>

namespace vtpm::tpm {

/// Memory for direct I/O, not initialised.
class aligned_buffer {
public:
  /// @pre `alignment` is a power of two and divides `size`.
  aligned_buffer(std::size_t alignment, std::size_t size)
    : octets_(static_cast<std::uint8_t*>(std::aligned_alloc(alignment, size))),
      size_(size) {
    assert(size % alignment == 0);
    if (octets_ == nullptr)
      throw std::bad_alloc{};
  }

  std::span<std::uint8_t> span() noexcept {
    return {octets_.get(), size_};
  }

private:
  struct free_memory {
    void operator()(std::uint8_t* octets) const noexcept {
      std::free(octets);
    }
  };

  std::unique_ptr<std::uint8_t[], free_memory> octets_;
  std::size_t size_;
};

} // namespace vtpm::tpm
