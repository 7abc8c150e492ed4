#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "xenio/event_loop.hpp"
#include "xenio/store.hpp"
#include "xenio/xen/store_exchange.hpp"
#include "xenio/xen/store_link.hpp"

namespace vtpm::xenio::xen {

/// XenStore for a thread that may wait for nobody: a second thread owns the
/// connection and makes the calls, one after the other; results and watch
/// events come back through the event loop in the order in which they came
/// about. While xenstored does not answer, nothing waits but answers.
class store_thread final : public store {
public:
  /// How long the end waits for the call under way, and for writes asked for
  /// before. A call cannot be interrupted: after that the thread is left
  /// behind.
  static constexpr auto farewell = std::chrono::milliseconds{2000};

  /// @param loop Outlives this.
  static result<std::unique_ptr<store_thread>> start(
    event_loop& loop, std::unique_ptr<store_link> link,
    std::chrono::milliseconds farewell_limit = farewell);

  store_thread(const store_thread&) = delete;
  store_thread& operator=(const store_thread&) = delete;

  /// No callback runs any more. On the loop's thread.
  ~store_thread() override;

  void read(std::vector<std::string> paths,
            std::function<void(std::vector<value>)> done) override;

  void list(std::string path,
            std::function<void(std::vector<std::string>)> done) override;

  void write(std::string path, std::string text,
             std::function<void(bool)> done) override;

  void remove(std::string path, std::function<void(bool)> done) override;

  watch_id watch(std::string path,
                 std::function<void(const std::string&)> changed) override;

  void unwatch(watch_id id) override;

private:
  using answer_handler = std::function<void(store_answer&)>;

  struct watcher {
    std::string path;
    /// Shared, because a callback may end its own watch.
    std::shared_ptr<const std::function<void(const std::string&)>> changed;
  };

  store_thread(std::shared_ptr<store_exchange> exchange,
               std::chrono::milliseconds farewell_limit);

  void ask(store_request what, answer_handler done);

  /// Takes what the other thread has left for us.
  void deliver();

  std::shared_ptr<store_exchange> exchange_;
  std::chrono::milliseconds farewell_limit_;
  std::thread thread_;
  /// Who gets the answer of each request under way, in their order. Stays on
  /// this side, so that no callback is ever destroyed by the other thread.
  std::deque<answer_handler> waiting_;
  std::map<watch_id, watcher> watchers_;
  watch_id next_watch_ = 1;
  /// Expires with this object.
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

} // namespace vtpm::xenio::xen
