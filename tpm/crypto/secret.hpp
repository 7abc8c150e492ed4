#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace vtpm::tpm {

/// Wipes `size` octets in a way no optimizer removes.
void wipe(void* data, std::size_t size) noexcept;

/// An allocator that wipes what it gives back.
template <class T>
struct wiping_allocator {
  using value_type = T;

  wiping_allocator() = default;

  template <class U>
  wiping_allocator(const wiping_allocator<U>&) noexcept {
    // nop
  }

  T* allocate(std::size_t n) {
    return std::allocator<T>{}.allocate(n);
  }

  void deallocate(T* data, std::size_t n) noexcept {
    wipe(data, n * sizeof(T));
    std::allocator<T>{}.deallocate(data, n);
  }

  friend bool operator==(const wiping_allocator&, const wiping_allocator&)
    = default;
};

/// Owned octets that must not stay behind in memory: keys and TPM state. The
/// process locks its memory and turns core dumps off, see deploy/vtpmd.
using secret_bytes = std::vector<std::uint8_t, wiping_allocator<std::uint8_t>>;

} // namespace vtpm::tpm
