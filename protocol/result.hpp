#pragma once

#include <cassert>
#include <utility>
#include <variant>

namespace vtpm {

/// The value of an operation that has nothing to say but that it worked.
struct unit {};

/// Either a `T` or the reason there is none. Below the actors this is how
/// everything fails that the world can make fail; our own bugs are asserted.
/// Each library names its `E` and an alias `result<T>`.
template <class T, class E>
class [[nodiscard]] basic_result {
public:
  basic_result(T value) : content_(std::in_place_index<0>, std::move(value)) {
    // nop
  }

  basic_result(E reason) : content_(std::in_place_index<1>, std::move(reason)) {
    // nop
  }

  explicit operator bool() const noexcept {
    return content_.index() == 0;
  }

  /// Returns the value.
  /// @pre `*this` holds a value.
  const T& operator*() const& noexcept {
    assert(*this);
    return *std::get_if<0>(&content_);
  }

  T& operator*() & noexcept {
    assert(*this);
    return *std::get_if<0>(&content_);
  }

  T&& operator*() && noexcept {
    assert(*this);
    return std::move(*std::get_if<0>(&content_));
  }

  const T* operator->() const noexcept {
    return &**this;
  }

  T* operator->() noexcept {
    return &**this;
  }

  /// Returns why there is no value.
  /// @pre `*this` holds an error.
  const E& error() const noexcept {
    assert(!*this);
    return *std::get_if<1>(&content_);
  }

private:
  std::variant<T, E> content_;
};

} // namespace vtpm
