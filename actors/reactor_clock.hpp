#pragma once

#include <chrono>
#include <cstdint>
#include <map>

#include <caf/actor_clock.hpp>
#include <caf/actor_control_block.hpp>
#include <caf/atom.hpp>
#include <caf/execution_unit.hpp>
#include <caf/fwd.hpp>
#include <caf/group.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/message.hpp>
#include <caf/message_id.hpp>

namespace vtpm::actors {

class reactor;

/// The reactor's timers: receive timeouts, request timeouts and delayed
/// messages of all actors. The loop's thread alone touches the schedule; calls
/// from other threads travel to it as tasks, in their order.
///
/// No iterator is held, and the schedule is consistent, whenever a timer is
/// destroyed: a timer may hold the last reference to an actor, whose end calls
/// back into this object.
class reactor_clock final : public caf::actor_clock {
public:
  explicit reactor_clock(reactor& loop);

  // -- for actors, on any thread ----------------------------------------------

  void set_ordinary_timeout(time_point due, caf::abstract_actor* self,
                            caf::atom_value type, std::uint64_t id) override;

  void set_multi_timeout(time_point due, caf::abstract_actor* self,
                         caf::atom_value type, std::uint64_t id) override;

  void set_request_timeout(time_point due, caf::abstract_actor* self,
                           caf::message_id id) override;

  void cancel_ordinary_timeout(caf::abstract_actor* self,
                               caf::atom_value type) override;

  void cancel_request_timeout(caf::abstract_actor* self,
                              caf::message_id id) override;

  void cancel_timeouts(caf::abstract_actor* self) override;

  void schedule_message(time_point due, caf::strong_actor_ptr receiver,
                        caf::mailbox_element_ptr content) override;

  void schedule_message(time_point due, caf::group target,
                        caf::strong_actor_ptr sender,
                        caf::message content) override;

  void cancel_all() override;

  // -- for the loop, on its thread --------------------------------------------

  /// Delivers what was due when called.
  void fire(caf::execution_unit* host);

  /// Returns when the next timer is due; the clock's maximum without one.
  time_point next_due() const noexcept;

  /// Returns for how long `epoll_wait` may sleep: milliseconds, rounded up so
  /// that it never wakes early and turns idly; -1 without a timer.
  int wait_ms() const noexcept;

private:
  enum class kind : std::uint8_t { ordinary, multi, request, message };

  /// Names a timer for its cancellation.
  struct key {
    caf::actor_id owner;
    kind what;
    std::uint64_t id;

    friend auto operator<=>(const key&, const key&) = default;
  };

  struct timer {
    key name;
    /// The receiver; `target` is it when this is null.
    caf::strong_actor_ptr receiver;
    caf::group target;
    /// Null for timeouts: most are cancelled, so theirs is made when they fire.
    caf::mailbox_element_ptr content;
    std::uint64_t timeout_id;
  };

  using schedule = std::multimap<time_point, timer>;

  /// Runs `f` now when on the loop's thread, else over there.
  template <class F>
  void on_loop(F f);

  void insert(time_point due, timer what);
  void erase(const key& name);
  void erase_all_of(caf::actor_id owner);
  static void deliver(timer what, caf::execution_unit* host);

  reactor& loop_;
  schedule schedule_;
  /// The timers that can be cancelled: all but messages.
  std::map<key, schedule::iterator> lookup_;
};

} // namespace vtpm::actors
