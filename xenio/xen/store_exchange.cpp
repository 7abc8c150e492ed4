#include "xenio/xen/store_exchange.hpp"

#include <array>
#include <cerrno>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>

#include "protocol/decimal.hpp"
#include "protocol/log.hpp"

namespace vtpm::xenio::xen {

namespace {

/// Between two requests: a guest that never stops writing shall not keep the
/// others' answers waiting.
constexpr auto changes_per_turn = 64;

} // namespace

result<std::shared_ptr<store_exchange>> store_exchange::make(event_loop& loop) {
  descriptor wake_up{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!wake_up)
    return io_error("cannot make an eventfd", errno);
  return std::shared_ptr<store_exchange>{
    new store_exchange{loop, std::move(wake_up)}};
}

// -- the loop's side ----------------------------------------------------------

void store_exchange::on_outcomes(std::function<void()> deliver) {
  deliver_ = std::move(deliver);
}

void store_exchange::ask(store_request what) {
  {
    const std::lock_guard guard{mutex_};
    requests_.push_back(std::move(what));
  }
  ::eventfd_write(wake_up_.get(), 1);
}

std::deque<store_outcome> store_exchange::take() {
  const std::lock_guard guard{mutex_};
  is_announced_ = false;
  queued_.clear();
  return std::exchange(outcomes_, {});
}

bool store_exchange::close(std::chrono::milliseconds limit) {
  std::unique_lock guard{mutex_};
  loop_ = nullptr;
  is_closing_ = true;
  ::eventfd_write(wake_up_.get(), 1);
  over_changed_.wait_for(guard, limit, [this] { return is_over_; });
  is_left_ = true;
  return is_over_;
}

// -- the helper's side --------------------------------------------------------

void store_exchange::run(store_link& link) {
  std::optional<store_request> next;
  while (next_request(next)) {
    if (next)
      push(execute(link, *next));
    else
      await_work(link);
    take_changes(link);
  }
  const std::lock_guard guard{mutex_};
  is_over_ = true;
  over_changed_.notify_all();
}

/// Takes the next request, if there is one. Returns `false` at the end.
bool store_exchange::next_request(std::optional<store_request>& next) {
  const std::lock_guard guard{mutex_};
  next.reset();
  if (is_left_ || (is_closing_ && requests_.empty()))
    return false;
  if (requests_.empty()) {
    eventfd_t ignored;
    ::eventfd_read(wake_up_.get(), &ignored);
    return true;
  }
  next = std::move(requests_.front());
  requests_.pop_front();
  return true;
}

void store_exchange::await_work(const store_link& link) const {
  // poll(2) ignores negative descriptors.
  std::array<pollfd, 2> ready
    = {pollfd{wake_up_.get(), POLLIN, 0},
       pollfd{is_lost_ ? -1 : link.descriptor(), POLLIN, 0}};
  while (::poll(ready.data(), ready.size(), -1) < 0 && errno == EINTR)
    continue;
}

void store_exchange::take_changes(store_link& link) {
  for (auto count = 0; count < changes_per_turn && !is_lost_; ++count) {
    auto event = link.next_event();
    if (!event)
      note(event.error());
    if (!event || !*event)
      return;
    const auto id = protocol::parse_decimal<store::watch_id>((*event)->token);
    // xenstored may still report what was unwatched a moment ago.
    if (id && watched_.contains(*id))
      push(store_change{*id, std::move((*event)->path)});
  }
}

store_answer store_exchange::execute(store_link& link,
                                     const store_request& what) {
  using kind = store_request::kind;
  store_answer answer;
  const auto& path = what.paths.front();
  switch (what.what) {
    case kind::read:
      for (const auto& each : what.paths) {
        auto found = link.read(each);
        answer.values.push_back(found ? *std::move(found) : store::value{});
        if (!found)
          note(found.error());
      }
      break;
    case kind::list:
      if (auto names = link.list(path))
        answer.names = *std::move(names);
      else
        note(names.error());
      break;
    case kind::write: {
      const auto written = link.write(path, what.text);
      answer.worked = written || note(written.error());
      break;
    }
    case kind::remove: {
      const auto removed = link.remove(path);
      answer.worked = removed || note(removed.error());
      break;
    }
    case kind::watch:
      start_watch(link, what);
      break;
    case kind::unwatch:
      watched_.erase(what.id);
      if (auto ended = link.unwatch(path, std::to_string(what.id)); !ended)
        note(ended.error());
      break;
  }
  return answer;
}

void store_exchange::start_watch(store_link& link, const store_request& what) {
  const auto& path = what.paths.front();
  watched_.emplace(what.id, path);
  const auto made = link.watch(path, std::to_string(what.id));
  if (made)
    return;
  // So that it is looked at once at least.
  note(made.error());
  push(store_change{what.id, path});
}

/// Tells the operator. Returns `false`, the outcome of whatever failed.
bool store_exchange::note(const error& reason) {
  if (reason.code == errc::refused)
    log().info("{}", reason.detail); // removed, or the toolstack's alone
  else if (reason.code != errc::gone)
    log().warn("{}", reason.detail);
  else if (!std::exchange(is_lost_, true))
    log().error("{}: who is connected is served, but nobody new is found, nor "
                "anybody's leaving: restart vtpmd",
                reason.detail);
  return false;
}

void store_exchange::push(store_answer answer) {
  const std::lock_guard guard{mutex_};
  outcomes_.emplace_back(std::move(answer));
  announce();
}

void store_exchange::push(store_change change) {
  const std::lock_guard guard{mutex_};
  auto& queued = queued_[change.id];
  if (queued.size() >= changes_per_watch_max)
    change.path = watched_.at(change.id);
  if (!queued.insert(change.path).second)
    return;
  outcomes_.emplace_back(std::move(change));
  announce();
}

/// Has the outcomes taken, unless that is on its way.
/// @pre The caller holds `mutex_`.
void store_exchange::announce() {
  if (loop_ != nullptr && !std::exchange(is_announced_, true))
    loop_->defer(deliver_);
}

} // namespace vtpm::xenio::xen
