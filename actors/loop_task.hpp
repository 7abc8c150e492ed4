#pragma once

#include <cstddef>
#include <utility>

#include <caf/ref_counted.hpp>
#include <caf/resumable.hpp>

namespace vtpm::actors {

/// A callable in the reactor's run queue, among the actors: runs once, then
/// goes. One that never runs is destroyed all the same.
template <class F>
class loop_task final : public caf::resumable, public caf::ref_counted {
public:
  explicit loop_task(F function) : function_(std::move(function)) {
    // nop
  }

  resume_result resume(caf::execution_unit*, std::size_t) override {
    function_();
    return done;
  }

  void intrusive_ptr_add_ref_impl() override {
    ref();
  }

  void intrusive_ptr_release_impl() override {
    deref();
  }

private:
  F function_;
};

/// Returns a task that whoever runs or drops it has to release.
template <class F>
caf::resumable* make_loop_task(F function) {
  return new loop_task<F>(std::move(function));
}

} // namespace vtpm::actors
