#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include <caf/typed_response_promise.hpp>

namespace vtpm::actors {

/// Gathers several answers into one value and delivers it with the last.
template <class T>
class collector {
public:
  collector(std::size_t expected, caf::typed_response_promise<T> promise,
            T initial = {})
    : value(std::move(initial)), left_(expected), promise_(std::move(promise)) {
    if (left_ == 0)
      promise_.deliver(std::move(value));
  }

  /// Notes one more answer.
  void arrived() {
    if (--left_ == 0)
      promise_.deliver(std::move(value));
  }

  T value;

private:
  std::size_t left_;
  caf::typed_response_promise<T> promise_;
};

} // namespace vtpm::actors
