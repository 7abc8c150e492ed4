#include "xenio/shared_page.hpp"

#include <array>
#include <atomic>
#include <bit>
#include <cstring>

namespace vtpm::xenio {

namespace {

// The other side of the page is not of this program, so the language's memory
// model says nothing about it. Atomic accesses are what makes the compiler emit
// each load and store once, as written; the orders are those of the hardware.
static_assert(std::atomic_ref<std::uint8_t>::is_always_lock_free);
static_assert(std::atomic_ref<std::uint64_t>::is_always_lock_free);

constexpr std::size_t word_size = sizeof(std::uint64_t);

template <class T>
T fetch(const std::uint8_t* source, std::memory_order order) noexcept {
  auto address = const_cast<std::uint8_t*>(source);
  return std::atomic_ref<T>{*reinterpret_cast<T*>(address)}.load(order);
}

template <class T>
void place(std::uint8_t* target, T value, std::memory_order order) noexcept {
  std::atomic_ref<T>{*reinterpret_cast<T*>(target)}.store(value, order);
}

bool is_word_aligned(std::size_t offset) noexcept {
  return offset % word_size == 0;
}

bool in_page(std::size_t offset, std::size_t size) noexcept {
  return offset <= protocol::page_size && size <= protocol::page_size - offset;
}

} // namespace

void shared_page::about_to_read() const noexcept {
  // nop
}

std::uint8_t shared_page::load_state() const noexcept {
  about_to_read();
  return fetch<std::uint8_t>(page_ + protocol::page_state_offset,
                             std::memory_order_acquire);
}

void shared_page::store_state(protocol::page_state state) noexcept {
  place(page_ + protocol::page_state_offset, static_cast<std::uint8_t>(state),
        std::memory_order_release);
}

protocol::page_header shared_page::load_header() const noexcept {
  static_assert(protocol::page_header_size == word_size);
  about_to_read();
  const auto word = fetch<std::uint64_t>(page_, std::memory_order_acquire);
  return protocol::page_header::decode(
    std::bit_cast<std::array<std::uint8_t, word_size>>(word));
}

void shared_page::store_length(std::uint32_t length) noexcept {
  // Little-endian by tpmif, whatever we run on.
  auto wire = length;
  if constexpr (std::endian::native == std::endian::big)
    wire = __builtin_bswap32(length);
  place(page_, wire, std::memory_order_relaxed);
}

bool shared_page::copy_in(std::size_t offset,
                          std::span<std::uint8_t> target) const noexcept {
  if (!in_page(offset, target.size()))
    return false;
  about_to_read();
  const auto size = target.size();
  std::size_t done = 0;
  while (done < size) {
    if (is_word_aligned(offset + done) && size - done >= word_size) {
      const auto word = fetch<std::uint64_t>(page_ + offset + done,
                                             std::memory_order_relaxed);
      std::memcpy(target.data() + done, &word, word_size);
      done += word_size;
    } else {
      target[done]
        = fetch<std::uint8_t>(page_ + offset + done, std::memory_order_relaxed);
      ++done;
    }
  }
  return true;
}

bool shared_page::copy_out(std::size_t offset, byte_view source) noexcept {
  if (!in_page(offset, source.size()))
    return false;
  const auto size = source.size();
  std::size_t done = 0;
  while (done < size) {
    if (is_word_aligned(offset + done) && size - done >= word_size) {
      std::uint64_t word;
      std::memcpy(&word, source.data() + done, word_size);
      place(page_ + offset + done, word, std::memory_order_relaxed);
      done += word_size;
    } else {
      place(page_ + offset + done, source[done], std::memory_order_relaxed);
      ++done;
    }
  }
  return true;
}

} // namespace vtpm::xenio
