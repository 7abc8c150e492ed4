#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <caf/abstract_actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/detail/type_list.hpp>
#include <caf/execution_unit.hpp>
#include <caf/message_id.hpp>
#include <caf/resumable.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>
#include <caf/send.hpp>

#include "actors/reactor_clock.hpp"
#include "xenio/event_loop.hpp"

namespace vtpm::actors {

/// The one thread that everything happens on: a scheduler for actors whose
/// thread is the event loop too, so that descriptors, the actors' run queue and
/// timers share one `epoll_wait` and a command crosses no thread.
///
/// Load it with `config.load<reactor>()`; it runs from the construction of the
/// actor system to its destruction. Set `scheduler.max-throughput` too: without
/// it, an actor handles messages until it has none.
///
/// The system's destructor awaits all actors while the loop still runs, then
/// stops it. So make every actor exit first: what handlers hold keeps nobody
/// from exiting, but nobody exits unasked. Handlers and timers left at the stop
/// are destroyed on the loop's thread, jobs and mail without being run.
///
/// Nothing that runs here may block or throw; an exception ends the process.
class reactor final : public caf::scheduler::abstract_coordinator,
                      public xenio::event_loop {
public:
  /// Constructed by CAF.
  /// @throws std::system_error when out of descriptors.
  explicit reactor(caf::actor_system& system);

  ~reactor() override;

  /// Returns the scheduler of `system`.
  /// @pre The system's configuration has loaded it.
  static reactor& of(caf::actor_system& system);

  // -- the event loop ---------------------------------------------------------

  /// Hang-ups and errors of the descriptor count as readable. From another
  /// thread, waits until the loop has done it.
  /// @pre Nobody watches `descriptor`.
  /// @throws std::system_error when the kernel is out of memory for it.
  void watch(int descriptor, std::function<void()> on_readable) override;

  /// Does nothing if nobody watches `descriptor`. From another thread, waits
  /// until the loop has done it.
  void unwatch(int descriptor) override;

  /// Jobs from one thread run in their order. A job that comes after the loop
  /// has stopped is destroyed.
  void defer(std::function<void()> job) override;

  /// Runs `f` on the loop's thread and returns its result: at once when called
  /// there, else after waiting for it.
  /// @throws std::future_error when the loop stops first.
  template <class F>
  auto call(F f) -> std::invoke_result_t<F&> {
    if (on_loop_thread())
      return f();
    using task_type = std::packaged_task<std::invoke_result_t<F&>()>;
    auto task = std::make_shared<task_type>(std::move(f));
    auto result = task->get_future();
    // The job alone owns the task: dropped unrun, it breaks the promise.
    defer([task = std::move(task)] { (*task)(); });
    return result.get();
  }

  /// Returns whether the caller runs on the loop's thread.
  bool on_loop_thread() const noexcept {
    return current_ == this;
  }

  // -- messages to actors -----------------------------------------------------

  /// Sends an anonymous message. Cheaper than `caf::anon_send` on the loop's
  /// thread, the same elsewhere.
  template <class Handle, class... Ts>
  void tell(const Handle& to, Ts&&... content) {
    if (on_loop_thread())
      caf::actor_cast<caf::abstract_actor*>(to)->eq_impl(
        caf::make_message_id(), nullptr, &unit_, std::forward<Ts>(content)...);
    else
      caf::anon_send(to, std::forward<Ts>(content)...);
  }

  /// Returns what to pass as `host` when enqueuing to an actor by hand, on the
  /// loop's thread only.
  caf::execution_unit* unit() noexcept {
    return &unit_;
  }

  // -- polling memory ---------------------------------------------------------
  //
  // With a CPU of its own, the loop may look at shared memory for a while
  // instead of sleeping, which spares the guest's command the wake-up. It does
  // so only as long as recent commands came soon enough for that to pay, so an
  // idle or slow guest costs nothing. Off unless `spin_for` says otherwise.

  using poll_id = std::uint64_t;

  /// Adds memory to look at. `poll` returns whether it found something to do;
  /// every one is asked even after one has, so that commands that are there
  /// together share a commit. On the loop's thread only.
  poll_id watch_memory(std::function<bool()> poll);

  /// Undoes `watch_memory`; `poll` does not run again. May be called by `poll`
  /// itself. On the loop's thread only.
  void unwatch_memory(poll_id id);

  /// Sets how long to look before sleeping; zero, the default, for never.
  /// Descriptors wait for as long, so a few hundred microseconds at most.
  /// Safe from any thread.
  void spin_for(std::chrono::nanoseconds longest);

  /// Sleeps instead of spinning until `release_spin`, so long as kernel work is
  /// under way: its thread may be bound to this CPU. Nests. On the loop's
  /// thread only.
  void hold_spin() noexcept;
  void release_spin() noexcept;

  // -- for CAF ----------------------------------------------------------------

  /// Makes the module that `config.load<reactor>()` asks for.
  static caf::actor_system::module* make(caf::actor_system& system,
                                         caf::detail::type_list<>);

  /// Puts a job at the end of the run queue. Safe from any thread.
  void enqueue(caf::resumable* job) override;

  caf::actor_clock& clock() noexcept override;
  bool detaches_utility_actors() const override;
  void init(caf::actor_system_config& config) override;
  void start() override;
  void stop() override;

private:
  using steady = std::chrono::steady_clock;

  /// What actors on the loop hand their jobs to.
  struct loop_unit final : caf::execution_unit {
    explicit loop_unit(reactor& loop)
      : caf::execution_unit(&loop.system()), parent(loop) {
      // nop
    }

    void exec_later(caf::resumable* job) override {
      parent.ready_.push_back(job);
    }

    reactor& parent;
  };

  /// A handler on the heap, which stays where it is while it runs, whatever
  /// happens to the tables.
  template <class Signature>
  using handler_ptr = std::unique_ptr<std::function<Signature>>;

  /// One descriptor. The generation goes into the kernel's event data: an event
  /// for the descriptor's former owner has another.
  struct watched {
    handler_ptr<void()> on_readable;
    std::uint32_t generation = 0;
  };

  /// One piece of memory.
  struct polled {
    poll_id id;
    handler_ptr<bool()> poll;
  };

  void run();
  void turn();
  void drain_inbox();
  void run_ready();
  void wait_for_events();
  bool may_sleep();
  void dispatch(std::uint64_t tag);
  void bury();
  bool spin();
  bool poll_memory();
  void judge_spinning();
  void drop_everything();
  void wake() noexcept;
  bool closed();

  static inline constinit thread_local reactor* current_ = nullptr;

  loop_unit unit_;
  reactor_clock clock_;
  int epoll_ = -1;
  int wake_ = -1;
  std::thread thread_;

  // Written by any thread.
  std::mutex mutex_;
  std::vector<caf::resumable*> inbox_; // guarded by mutex_
  bool closed_ = false;                // guarded by mutex_
  std::atomic<bool> inbox_filled_ = false;
  std::atomic<bool> asleep_ = false;
  std::atomic<bool> stopping_ = false;

  // The loop thread's own.
  std::deque<caf::resumable*> ready_;
  std::vector<watched> watched_; // by descriptor
  std::vector<polled> polled_;
  poll_id last_poll_id_ = 0;
  bool calling_handlers_ = false;
  /// Handlers that were removed while one was running, perhaps themselves.
  std::vector<handler_ptr<void()>> dead_handlers_;
  std::vector<handler_ptr<bool()>> dead_polls_;
  std::chrono::nanoseconds spin_limit_{0};
  steady::time_point idle_since_;
  int spin_credit_ = 0;
  int spin_streak_ = 0;
  int spin_holds_ = 0;
};

} // namespace vtpm::actors
