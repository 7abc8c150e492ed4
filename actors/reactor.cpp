#include "actors/reactor.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <limits>
#include <system_error>

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <caf/event_based_actor.hpp>

#include "actors/loop_task.hpp"

namespace vtpm::actors {

namespace {

/// Jobs per turn, so that actors which keep each other busy cannot keep the
/// loop from its descriptors. Long jobs end a turn earlier, with the tick.
constexpr auto jobs_per_turn = 256;

/// Events taken from the kernel at once.
constexpr std::size_t events_per_turn = 64;

/// Finds in a row after which descriptors get their turn.
constexpr auto spin_streak_max = 16;

/// Spinning pays while events mostly come soon: a soon one earns two of these,
/// a late one costs one, none left means sleeping at once.
constexpr auto spin_credit_max = 16;

/// Tells the wake-up apart from every watched descriptor, which is an `int`.
constexpr auto wake_tag = std::numeric_limits<std::uint64_t>::max();

[[noreturn]] void fail(const char* what) {
  throw std::system_error{errno, std::generic_category(), what};
}

std::uint64_t tag_of(int descriptor, std::uint32_t generation) {
  return (std::uint64_t{generation} << 32)
    | static_cast<std::uint32_t>(descriptor);
}

/// Returns the kernel's last timer tick, 1 to 10 ms ago, in nanoseconds. Costs
/// a fifth of the exact time.
std::int64_t last_tick() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void relax_cpu() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/// Takes what actors print through CAF, which is nothing: there is a log. CAF's
/// own printer would cost a thread.
class silent_printer : public caf::event_based_actor {
public:
  using caf::event_based_actor::event_based_actor;

  caf::behavior make_behavior() override {
    set_default_handler(caf::drop);
    return {[](caf::delete_atom, caf::actor_id) {
      // nop
    }};
  }
};

} // namespace

// -- construction and life ----------------------------------------------------

reactor::reactor(caf::actor_system& system)
  : caf::scheduler::abstract_coordinator(system), unit_(*this), clock_(*this) {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0)
    fail("epoll_create1");
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_ < 0)
    fail("eventfd");
  // Never read: with edge triggering each write is an event of its own, and the
  // counter would take centuries to fill.
  auto event = epoll_event{EPOLLIN | EPOLLET, {.u64 = wake_tag}};
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0)
    fail("epoll_ctl");
}

reactor::~reactor() {
  ::close(wake_);
  ::close(epoll_);
}

reactor& reactor::of(caf::actor_system& system) {
  return dynamic_cast<reactor&>(system.scheduler());
}

caf::actor_system::module* reactor::make(caf::actor_system& system,
                                         caf::detail::type_list<>) {
  return new reactor(system);
}

caf::actor_clock& reactor::clock() noexcept {
  return clock_;
}

bool reactor::detaches_utility_actors() const {
  return false;
}

void reactor::init(caf::actor_system_config& config) {
  abstract_coordinator::init(config);
  num_workers_ = 1;
}

void reactor::start() {
  thread_ = std::thread{[this] {
    ::pthread_setname_np(::pthread_self(), "reactor");
    system().thread_started();
    current_ = this;
    run();
    current_ = nullptr;
    system().thread_terminates();
  }};
  utility_actors_[printer_id] = caf::actor_cast<caf::actor>(
    system().spawn<silent_printer, caf::hidden>());
}

void reactor::stop() {
  stop_actors();
  stopping_ = true;
  wake();
  thread_.join();
  {
    const std::lock_guard guard{mutex_};
    closed_ = true;
    ready_.insert(ready_.end(), inbox_.begin(), inbox_.end());
    inbox_.clear();
  }
  for (auto job : std::exchange(ready_, {}))
    cleanup_and_release(job);
}

// -- the run queue ------------------------------------------------------------

void reactor::enqueue(caf::resumable* job) {
  if (on_loop_thread()) {
    ready_.push_back(job);
    return;
  }
  {
    std::unique_lock guard{mutex_};
    if (closed_) {
      guard.unlock();
      cleanup_and_release(job);
      return;
    }
    inbox_.push_back(job);
    inbox_filled_.store(true, std::memory_order_relaxed);
  }
  // Pairs with `may_sleep`: either it sees the job, or we see it asleep.
  if (asleep_.exchange(false))
    wake();
}

void reactor::defer(std::function<void()> job) {
  enqueue(make_loop_task(std::move(job)));
}

void reactor::wake() noexcept {
  const std::uint64_t one = 1;
  // The one error, a full counter, means that the loop has an event already.
  [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof(one));
}

bool reactor::closed() {
  const std::lock_guard guard{mutex_};
  return closed_;
}

void reactor::drain_inbox() {
  if (!inbox_filled_.load(std::memory_order_relaxed))
    return;
  const std::lock_guard guard{mutex_};
  ready_.insert(ready_.end(), inbox_.begin(), inbox_.end());
  inbox_.clear();
  inbox_filled_.store(false, std::memory_order_relaxed);
}

void reactor::run_ready() {
  const auto tick = last_tick();
  for (auto left = jobs_per_turn; left > 0 && !ready_.empty(); --left) {
    const auto job = ready_.front();
    ready_.pop_front();
    if (job->resume(&unit_, max_throughput()) == caf::resumable::resume_later)
      ready_.push_back(job);
    else
      intrusive_ptr_release(job);
    if (last_tick() != tick)
      return;
  }
}

// -- the loop -----------------------------------------------------------------

void reactor::run() {
  while (!stopping_.load(std::memory_order_relaxed))
    turn();
  drop_everything();
}

void reactor::turn() {
  drain_inbox();
  run_ready();
  if (ready_.empty() && spin()) {
    judge_spinning();
    if (++spin_streak_ < spin_streak_max)
      return;
  }
  spin_streak_ = 0;
  wait_for_events();
  clock_.fire(&unit_);
}

void reactor::wait_for_events() {
  auto timeout_ms = ready_.empty() ? clock_.wait_ms() : 0;
  if (timeout_ms != 0 && !may_sleep())
    timeout_ms = 0;
  std::array<epoll_event, events_per_turn> events;
  const auto count = ::epoll_wait(epoll_, events.data(),
                                  static_cast<int>(events.size()), timeout_ms);
  asleep_.store(false, std::memory_order_relaxed);
  assert(count >= 0 || errno == EINTR);
  if (timeout_ms != 0)
    judge_spinning();
  calling_handlers_ = true;
  for (auto i = 0; i < count; ++i)
    dispatch(events[static_cast<std::size_t>(i)].data.u64);
  calling_handlers_ = false;
  bury();
}

bool reactor::may_sleep() {
  asleep_ = true;
  const std::lock_guard guard{mutex_};
  return inbox_.empty() && !stopping_;
}

void reactor::drop_everything() {
  // Their destructors may come back here, hence the exchange.
  std::exchange(watched_, {}).clear();
  std::exchange(polled_, {}).clear();
  clock_.cancel_all();
}

// -- descriptors --------------------------------------------------------------

void reactor::watch(int descriptor, std::function<void()> on_readable) {
  if (!on_loop_thread()) {
    if (!closed())
      call([&] { watch(descriptor, std::move(on_readable)); });
    return;
  }
  assert(descriptor >= 0);
  const auto index = static_cast<std::size_t>(descriptor);
  if (index >= watched_.size())
    watched_.resize(index + 1);
  auto& entry = watched_[index];
  assert(entry.on_readable == nullptr);
  ++entry.generation;
  entry.on_readable
    = std::make_unique<std::function<void()>>(std::move(on_readable));
  auto event
    = epoll_event{EPOLLIN, {.u64 = tag_of(descriptor, entry.generation)}};
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0) {
    entry.on_readable = nullptr;
    fail("epoll_ctl");
  }
}

void reactor::unwatch(int descriptor) {
  if (!on_loop_thread()) {
    if (!closed())
      call([&] { unwatch(descriptor); });
    return;
  }
  const auto index = static_cast<std::size_t>(descriptor);
  if (index >= watched_.size() || watched_[index].on_readable == nullptr)
    return;
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
  auto dead = std::move(watched_[index].on_readable);
  if (calling_handlers_)
    dead_handlers_.push_back(std::move(dead));
}

void reactor::dispatch(std::uint64_t tag) {
  if (tag == wake_tag)
    return;
  const auto& entry = watched_[static_cast<std::uint32_t>(tag)];
  if (entry.on_readable != nullptr && entry.generation == tag >> 32)
    (*entry.on_readable)();
}

void reactor::bury() {
  // Their destructors may come back here, hence the exchange.
  if (!dead_handlers_.empty())
    std::exchange(dead_handlers_, {}).clear();
  if (!dead_polls_.empty()) {
    std::erase_if(polled_, [](const polled& x) { return x.poll == nullptr; });
    std::exchange(dead_polls_, {}).clear();
  }
}

// -- polling memory -----------------------------------------------------------

reactor::poll_id reactor::watch_memory(std::function<bool()> poll) {
  assert(on_loop_thread());
  polled_.push_back({++last_poll_id_,
                     std::make_unique<std::function<bool()>>(std::move(poll))});
  return last_poll_id_;
}

void reactor::unwatch_memory(poll_id id) {
  assert(on_loop_thread());
  const auto found = std::find_if(polled_.begin(), polled_.end(),
                                  [id](const polled& x) { return x.id == id; });
  if (found == polled_.end() || found->poll == nullptr)
    return;
  auto dead = std::move(found->poll);
  if (calling_handlers_)
    dead_polls_.push_back(std::move(dead));
  else
    polled_.erase(found);
}

void reactor::spin_for(std::chrono::nanoseconds longest) {
  defer([this, longest] { spin_limit_ = longest; });
}

void reactor::hold_spin() noexcept {
  assert(on_loop_thread());
  ++spin_holds_;
}

void reactor::release_spin() noexcept {
  assert(on_loop_thread() && spin_holds_ > 0);
  --spin_holds_;
}

/// Looks at memory until something happens or the time is up. Returns whether
/// there is something to do.
bool reactor::spin() {
  if (spin_limit_.count() == 0)
    return false;
  idle_since_ = steady::now();
  if (spin_credit_ == 0 || spin_holds_ > 0)
    return false;
  const auto until = std::min(idle_since_ + spin_limit_, clock_.next_due());
  do {
    if (poll_memory() || inbox_filled_.load(std::memory_order_relaxed))
      return true;
    relax_cpu();
  } while (steady::now() < until && !stopping_.load(std::memory_order_relaxed));
  return false;
}

bool reactor::poll_memory() {
  calling_handlers_ = true;
  auto found = false;
  for (std::size_t i = 0; i < polled_.size(); ++i)
    if (const auto poll = polled_[i].poll.get())
      found = (*poll)() || found;
  calling_handlers_ = false;
  bury();
  return found;
}

/// Judges whether the last wait, spent spinning or asleep, was short enough for
/// spinning to pay.
void reactor::judge_spinning() {
  if (spin_limit_.count() == 0)
    return;
  if (steady::now() - idle_since_ <= spin_limit_)
    spin_credit_ = std::min(spin_credit_ + 2, spin_credit_max);
  else if (spin_credit_ > 0)
    --spin_credit_;
}

} // namespace vtpm::actors
