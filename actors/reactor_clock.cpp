#include "actors/reactor_clock.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include <caf/abstract_actor.hpp>
#include <caf/abstract_group.hpp>
#include <caf/error.hpp>
#include <caf/sec.hpp>
#include <caf/system_messages.hpp>

#include "actors/loop_task.hpp"
#include "actors/reactor.hpp"

namespace vtpm::actors {

namespace {

caf::strong_actor_ptr strong(caf::abstract_actor* self) {
  return caf::strong_actor_ptr{self->ctrl()};
}

std::uint64_t number(caf::atom_value type) {
  return static_cast<std::uint64_t>(type);
}

} // namespace

reactor_clock::reactor_clock(reactor& loop) : loop_(loop) {
  // nop
}

template <class F>
void reactor_clock::on_loop(F f) {
  if (loop_.on_loop_thread())
    f();
  else
    loop_.enqueue(make_loop_task(std::move(f)));
}

void reactor_clock::set_ordinary_timeout(time_point due,
                                         caf::abstract_actor* self,
                                         caf::atom_value type,
                                         std::uint64_t id) {
  // One per type: a new one replaces the earlier.
  const auto name = key{self->id(), kind::ordinary, number(type)};
  on_loop([this, due, name, id, receiver = strong(self)]() mutable {
    erase(name);
    insert(due, {name, std::move(receiver), {}, {}, id});
  });
}

void reactor_clock::set_multi_timeout(time_point due, caf::abstract_actor* self,
                                      caf::atom_value type, std::uint64_t id) {
  // CAF offers no way to cancel one of these, so `id`, which an actor never
  // uses twice, names it and the type travels in its place.
  const auto name = key{self->id(), kind::multi, id};
  on_loop([this, due, name, type, receiver = strong(self)]() mutable {
    erase(name);
    insert(due, {name, std::move(receiver), {}, {}, number(type)});
  });
}

void reactor_clock::set_request_timeout(time_point due,
                                        caf::abstract_actor* self,
                                        caf::message_id id) {
  const auto name = key{self->id(), kind::request, id.integer_value()};
  on_loop([this, due, name, receiver = strong(self)]() mutable {
    erase(name);
    insert(due, {name, std::move(receiver), {}, {}, 0});
  });
}

void reactor_clock::cancel_ordinary_timeout(caf::abstract_actor* self,
                                            caf::atom_value type) {
  const auto name = key{self->id(), kind::ordinary, number(type)};
  on_loop([this, name] { erase(name); });
}

void reactor_clock::cancel_request_timeout(caf::abstract_actor* self,
                                           caf::message_id id) {
  const auto name = key{self->id(), kind::request, id.integer_value()};
  on_loop([this, name] { erase(name); });
}

void reactor_clock::cancel_timeouts(caf::abstract_actor* self) {
  on_loop([this, owner = self->id()] { erase_all_of(owner); });
}

void reactor_clock::schedule_message(time_point due,
                                     caf::strong_actor_ptr receiver,
                                     caf::mailbox_element_ptr content) {
  on_loop([this, due, receiver = std::move(receiver),
           content = std::move(content)]() mutable {
    insert(
      due,
      {{0, kind::message, 0}, std::move(receiver), {}, std::move(content), 0});
  });
}

void reactor_clock::schedule_message(time_point due, caf::group target,
                                     caf::strong_actor_ptr sender,
                                     caf::message content) {
  on_loop([this, due, target = std::move(target), sender = std::move(sender),
           content = std::move(content)]() mutable {
    insert(due,
           {{0, kind::message, 0},
            {},
            std::move(target),
            caf::make_mailbox_element(std::move(sender), caf::make_message_id(),
                                      {}, std::move(content)),
            0});
  });
}

void reactor_clock::cancel_all() {
  on_loop([this] {
    lookup_.clear();
    const auto gone = std::exchange(schedule_, {});
  });
}

void reactor_clock::fire(caf::execution_unit* host) {
  if (schedule_.empty())
    return;
  const auto instant = now();
  while (next_due() <= instant) {
    auto node = schedule_.extract(schedule_.begin());
    if (node.mapped().name.what != kind::message)
      lookup_.erase(node.mapped().name);
    deliver(std::move(node.mapped()), host);
  }
}

reactor_clock::time_point reactor_clock::next_due() const noexcept {
  return schedule_.empty() ? time_point::max() : schedule_.begin()->first;
}

int reactor_clock::wait_ms() const noexcept {
  if (schedule_.empty())
    return -1;
  const auto due = schedule_.begin()->first;
  const auto instant = now();
  if (due <= instant)
    return 0;
  // A longer sleep than `int` holds ends early and is slept again.
  constexpr auto longest = std::chrono::hours{24};
  if (due >= instant + longest)
    return static_cast<int>(std::chrono::milliseconds{longest}.count());
  return static_cast<int>(
    std::chrono::ceil<std::chrono::milliseconds>(due - instant).count());
}

void reactor_clock::insert(time_point due, timer what) {
  const auto name = what.name;
  // The hint is right whenever all timeouts are equally long.
  const auto place
    = schedule_.emplace_hint(schedule_.end(), due, std::move(what));
  if (name.what != kind::message)
    lookup_.emplace(name, place);
}

void reactor_clock::erase(const key& name) {
  const auto found = lookup_.find(name);
  if (found == lookup_.end())
    return;
  const auto gone = schedule_.extract(found->second);
  lookup_.erase(found);
}

void reactor_clock::erase_all_of(caf::actor_id owner) {
  for (;;) {
    const auto found = lookup_.lower_bound({owner, kind::ordinary, 0});
    if (found == lookup_.end() || found->first.owner != owner)
      return;
    erase(key{found->first});
  }
}

void reactor_clock::deliver(timer what, caf::execution_unit* host) {
  const auto to = what.receiver ? what.receiver->get() : nullptr;
  switch (what.name.what) {
    case kind::ordinary:
      to->eq_impl(caf::make_message_id(), what.receiver, host,
                  caf::timeout_msg{static_cast<caf::atom_value>(what.name.id),
                                   what.timeout_id});
      break;
    case kind::multi:
      to->eq_impl(
        caf::make_message_id(), what.receiver, host,
        caf::timeout_msg{static_cast<caf::atom_value>(what.timeout_id),
                         what.name.id});
      break;
    case kind::request:
      to->eq_impl(caf::message_id{what.name.id}, what.receiver, host,
                  caf::make_error(caf::sec::request_timeout));
      break;
    case kind::message:
      if (to != nullptr)
        to->enqueue(std::move(what.content), host);
      else
        what.target.get()->enqueue(what.content->sender, what.content->mid,
                                   what.content->move_content_to_message(),
                                   host);
      break;
  }
}

} // namespace vtpm::actors
