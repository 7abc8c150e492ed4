#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "xenio/descriptor.hpp"
#include "xenio/event_loop.hpp"
#include "xenio/store.hpp"
#include "xenio/xen/store_link.hpp"

namespace vtpm::xenio::xen {

/// One thing to ask xenstored.
struct store_request {
  enum class kind : std::uint8_t { read, list, write, remove, watch, unwatch };

  kind what;
  /// Several for `read` only.
  std::vector<std::string> paths;
  /// For `write`.
  std::string text;
  /// For `watch` and `unwatch`.
  store::watch_id id = 0;
};

/// What came of it.
struct store_answer {
  bool worked = false;
  std::vector<store::value> values;
  std::vector<std::string> names;
};

/// A change that a watch reports.
struct store_change {
  store::watch_id id;
  std::string path;
};

using store_outcome = std::variant<store_answer, store_change>;

/// What the two threads of `store_thread` hand to each other: the event loop's,
/// who asks, and the helper, who calls. Both own it, because the helper may be
/// left behind in a call.
class store_exchange {
public:
  /// Changed nodes that wait to be taken, per watch. A change that waits is not
  /// queued again; of a watch with more, the watched path stands for the rest.
  static constexpr std::size_t changes_per_watch_max = 16;

  /// @param loop Outlives the call of `close`.
  static result<std::shared_ptr<store_exchange>> make(event_loop& loop);

  store_exchange(const store_exchange&) = delete;
  store_exchange& operator=(const store_exchange&) = delete;

  // -- the loop's side --------------------------------------------------------

  /// Sets what runs on the loop when there is something to take. Before `run`.
  void on_outcomes(std::function<void()> deliver);

  void ask(store_request what);

  /// Takes everything there is, in the order in which it came about.
  std::deque<store_outcome> take();

  /// Lets `run` return after all that was asked; nothing is delivered any more.
  /// Returns whether it has, and if not, lets it return after the call that it
  /// is in.
  bool close(std::chrono::milliseconds limit);

  // -- the helper's side ------------------------------------------------------

  /// Makes the calls until `close`.
  void run(store_link& link);

private:
  store_exchange(event_loop& loop, descriptor wake_up) noexcept
    : loop_(&loop), wake_up_(std::move(wake_up)) {
    // nop
  }

  void await_work(const store_link& link) const;
  void take_changes(store_link& link);
  bool next_request(std::optional<store_request>& next);
  store_answer execute(store_link& link, const store_request& what);
  void start_watch(store_link& link, const store_request& what);
  bool note(const error& reason);
  void push(store_answer answer);
  void push(store_change change);
  void announce();

  std::mutex mutex_;
  std::condition_variable over_changed_;
  event_loop* loop_; // guarded by mutex_; null once closed
  std::function<void()> deliver_;
  std::deque<store_request> requests_; // guarded by mutex_
  std::deque<store_outcome> outcomes_; // guarded by mutex_
  /// The paths of the changes in `outcomes_`.
  std::map<store::watch_id, std::set<std::string>> queued_; // guarded by mutex_
  bool is_announced_ = false;                               // guarded by mutex_
  bool is_closing_ = false;                                 // guarded by mutex_
  bool is_left_ = false;                                    // guarded by mutex_
  bool is_over_ = false;                                    // guarded by mutex_
  /// Readable while there is a request, or the end.
  descriptor wake_up_;

  // The helper's own.
  std::map<store::watch_id, std::string> watched_;
  bool is_lost_ = false;
};

} // namespace vtpm::xenio::xen
