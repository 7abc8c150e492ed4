#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <sys/eventfd.h>

#include "xenio/descriptor.hpp"
#include "xenio/xen/store_link.hpp"

namespace vtpm::tests {

/// A xenstored that a test plays: nodes and watches, calls that hang until the
/// test lets them go on, connections that break. Safe from any thread.
class scripted_xenstored
  : public std::enable_shared_from_this<scripted_xenstored> {
public:
  using lock = std::unique_lock<std::mutex>;

  /// Opens a connection.
  std::unique_ptr<xenio::xen::store_link> connect();

  /// Returns the calls so far, in their order: "write a=1".
  std::vector<std::string> calls() const {
    const std::lock_guard guard{mutex_};
    return calls_;
  }

  /// Writes a node as another domain would.
  void set(const std::string& path, const std::string& text) {
    const std::lock_guard guard{mutex_};
    nodes_[path] = text;
    fire(path);
  }

  /// Waits until a node holds `text`, so long at most. Returns whether it does.
  bool await(const std::string& path, const std::string& text,
             std::chrono::milliseconds limit) {
    lock guard{mutex_};
    return changed_.wait_for(guard, limit, [&] {
      const auto node = nodes_.find(path);
      return node != nodes_.end() && node->second == text;
    });
  }

  xenio::store::value get(const std::string& path) const {
    const std::lock_guard guard{mutex_};
    const auto node = nodes_.find(path);
    return node == nodes_.end() ? std::nullopt
                                : xenio::store::value{node->second};
  }

  /// From now on calls hang, until `go_on`.
  void stop() {
    const std::lock_guard guard{mutex_};
    is_stopped_ = true;
  }

  void go_on() {
    const std::lock_guard guard{mutex_};
    is_stopped_ = false;
    changed_.notify_all();
  }

  /// Waits until a call hangs.
  void await_hanging_call() {
    lock guard{mutex_};
    changed_.wait(guard, [this] { return hanging_ > 0; });
  }

  /// Waits until all that was reported has been taken, and asked for more.
  void await_drained() {
    lock guard{mutex_};
    changed_.wait(guard, [this] {
      return std::all_of(links_.begin(), links_.end(),
                         [](const link* each) { return each->is_drained(); });
    });
  }

  /// Waits until every link is closed.
  void await_closed_links() {
    lock guard{mutex_};
    changed_.wait(guard, [this] { return links_.empty(); });
  }

  /// Closes all connections, as a xenstored that dies.
  void die() {
    const std::lock_guard guard{mutex_};
    is_dead_ = true;
    for (auto* each : links_)
      each->ring();
  }

  /// Refuses watches from now on, as when they are too many.
  void refuse_watches() {
    const std::lock_guard guard{mutex_};
    refuses_watches_ = true;
  }

private:
  class link;

  struct watch_entry {
    link* owner;
    std::string path;
    std::string token;
  };

  class link final : public xenio::xen::store_link {
  public:
    explicit link(std::shared_ptr<scripted_xenstored> server)
      : server_(std::move(server)) {
      const std::lock_guard guard{server_->mutex_};
      server_->links_.push_back(this);
    }

    ~link() override {
      const std::lock_guard guard{server_->mutex_};
      std::erase(server_->links_, this);
      std::erase_if(server_->watches_, [this](const watch_entry& each) {
        return each.owner == this;
      });
      server_->changed_.notify_all();
    }

    int descriptor() const noexcept override {
      return bell_.get();
    }

    xenio::result<xenio::store::value> read(const std::string& path) override {
      if (auto begun = server_->begin("read " + path); !begun)
        return begun.error();
      return server_->get(path);
    }

    xenio::result<std::vector<std::string>> list(
      const std::string& path) override {
      if (auto begun = server_->begin("list " + path); !begun)
        return begun.error();
      const std::lock_guard guard{server_->mutex_};
      std::vector<std::string> names;
      for (const auto& [each, text] : server_->nodes_)
        if (each.starts_with(path + "/"))
          names.push_back(each.substr(path.size() + 1));
      return names;
    }

    xenio::result<unit> write(const std::string& path,
                              const std::string& text) override {
      auto begun = server_->begin("write " + path + "=" + text);
      if (begun)
        server_->set(path, text);
      return begun;
    }

    xenio::result<unit> remove(const std::string& path) override {
      auto begun = server_->begin("remove " + path);
      if (begun) {
        const std::lock_guard guard{server_->mutex_};
        std::erase_if(server_->nodes_, [&](const auto& node) {
          return node.first == path || node.first.starts_with(path + "/");
        });
        server_->fire(path);
      }
      return begun;
    }

    xenio::result<unit> watch(const std::string& path,
                              const std::string& token) override {
      auto begun = server_->begin("watch " + path);
      if (!begun)
        return begun;
      const std::lock_guard guard{server_->mutex_};
      if (server_->refuses_watches_)
        return xenio::error{xenio::errc::io, "too many watches"};
      server_->watches_.push_back({this, path, token});
      report({path, token});
      return begun;
    }

    xenio::result<unit> unwatch(const std::string& path,
                                const std::string& token) override {
      auto begun = server_->begin("unwatch " + path);
      const std::lock_guard guard{server_->mutex_};
      std::erase_if(server_->watches_, [&](const auto& each) {
        return each.owner == this && each.token == token;
      });
      return begun;
    }

    xenio::result<unit> make(const std::string& path, xenio::domid owner,
                             xenio::domid reader) override {
      auto begun = server_->begin("make " + path + " n" + std::to_string(owner)
                                  + " r" + std::to_string(reader));
      if (begun)
        server_->set(path, "");
      return begun;
    }

    xenio::result<std::optional<xenio::xen::store_event>> next_event()
      override {
      const std::lock_guard guard{server_->mutex_};
      if (server_->is_dead_)
        return gone();
      if (events_.empty()) {
        eventfd_t ignored;
        ::eventfd_read(bell_.get(), &ignored);
        is_drained_ = true;
        server_->changed_.notify_all();
        return std::optional<xenio::xen::store_event>{};
      }
      auto event = std::move(events_.front());
      events_.pop_front();
      return std::optional{std::move(event)};
    }

    /// The caller holds the server's lock.
    void report(xenio::xen::store_event event) {
      events_.push_back(std::move(event));
      is_drained_ = false;
      ring();
    }

    bool is_drained() const noexcept {
      return is_drained_;
    }

    void ring() const {
      ::eventfd_write(bell_.get(), 1);
    }

  private:
    std::shared_ptr<scripted_xenstored> server_;
    std::deque<xenio::xen::store_event> events_;
    bool is_drained_ = true;
    xenio::descriptor bell_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  };

  static xenio::error gone() {
    return {xenio::errc::gone, "xenstored has closed the connection"};
  }

  /// Notes a call and hangs in it while stopped.
  xenio::result<unit> begin(std::string call) {
    lock guard{mutex_};
    if (is_dead_)
      return gone();
    calls_.push_back(std::move(call));
    ++hanging_;
    changed_.notify_all();
    changed_.wait(guard, [this] { return !is_stopped_; });
    --hanging_;
    return unit{};
  }

  /// The caller holds the lock.
  void fire(const std::string& path) {
    changed_.notify_all();
    for (const auto& each : watches_)
      if (path == each.path || path.starts_with(each.path + "/"))
        each.owner->report({path, each.token});
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::string> nodes_;
  std::vector<watch_entry> watches_;
  std::vector<link*> links_;
  std::vector<std::string> calls_;
  int hanging_ = 0;
  bool is_stopped_ = false;
  bool is_dead_ = false;
  bool refuses_watches_ = false;
};

inline std::unique_ptr<xenio::xen::store_link> scripted_xenstored::connect() {
  return std::make_unique<link>(shared_from_this());
}

} // namespace vtpm::tests
