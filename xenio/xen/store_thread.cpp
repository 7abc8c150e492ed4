#include "xenio/xen/store_thread.hpp"

#include <csignal>
#include <system_error>
#include <utility>

#include <pthread.h>

#include "protocol/log.hpp"

namespace vtpm::xenio::xen {

namespace {

using kind = store_request::kind;

/// Starts a thread that no signal reaches: they are for those who expect them.
template <class F>
result<std::thread> start_thread(F body) {
  auto all = sigset_t{};
  auto before = sigset_t{};
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  auto started = [&]() -> result<std::thread> {
    try {
      return std::thread{std::move(body)};
    } catch (const std::system_error& reason) {
      return io_error("cannot start a thread", reason.code().value());
    }
  }();
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

} // namespace

store_thread::store_thread(std::shared_ptr<store_exchange> exchange,
                           std::chrono::milliseconds farewell_limit)
  : exchange_(std::move(exchange)), farewell_limit_(farewell_limit) {
  exchange_->on_outcomes([this, alive = std::weak_ptr{alive_}] {
    if (!alive.expired())
      deliver();
  });
}

result<std::unique_ptr<store_thread>> store_thread::start(
  event_loop& loop, std::unique_ptr<store_link> link,
  std::chrono::milliseconds farewell_limit) {
  auto exchange = store_exchange::make(loop);
  if (!exchange)
    return exchange.error();
  std::unique_ptr<store_thread> made{
    new store_thread{*exchange, farewell_limit}};
  auto body = [shared = *std::move(exchange),
               owned = std::shared_ptr{std::move(link)}]() mutable {
    ::pthread_setname_np(::pthread_self(), "xenstore");
    shared->run(*owned);
  };
  auto started = start_thread(std::move(body));
  if (!started)
    return started.error();
  made->thread_ = *std::move(started);
  return made;
}

store_thread::~store_thread() {
  if (!thread_.joinable())
    return; // it never started
  if (exchange_->close(farewell_limit_)) {
    thread_.join();
    return;
  }
  log().warn("xenstored does not answer: leaving without its answer");
  thread_.detach();
}

void store_thread::ask(store_request what, answer_handler done) {
  waiting_.push_back(std::move(done));
  exchange_->ask(std::move(what));
}

void store_thread::read(std::vector<std::string> paths,
                        std::function<void(std::vector<value>)> done) {
  ask({kind::read, std::move(paths), {}},
      [done = std::move(done)](store_answer& answer) {
        done(std::move(answer.values));
      });
}

void store_thread::list(std::string path,
                        std::function<void(std::vector<std::string>)> done) {
  ask({kind::list, {std::move(path)}, {}},
      [done = std::move(done)](store_answer& answer) {
        done(std::move(answer.names));
      });
}

void store_thread::write(std::string path, std::string text,
                         std::function<void(bool)> done) {
  ask({kind::write, {std::move(path)}, std::move(text)},
      [done = std::move(done)](const store_answer& answer) {
        if (done)
          done(answer.worked);
      });
}

void store_thread::remove(std::string path, std::function<void(bool)> done) {
  ask({kind::remove, {std::move(path)}, {}},
      [done = std::move(done)](const store_answer& answer) {
        if (done)
          done(answer.worked);
      });
}

store::watch_id store_thread::watch(
  std::string path, std::function<void(const std::string&)> changed) {
  const auto id = next_watch_++;
  watchers_.emplace(
    id,
    watcher{path,
            std::make_shared<const std::function<void(const std::string&)>>(
              std::move(changed))});
  ask({kind::watch, {std::move(path)}, {}, id}, {});
  return id;
}

void store_thread::unwatch(watch_id id) {
  const auto entry = watchers_.find(id);
  if (entry == watchers_.end())
    return;
  ask({kind::unwatch, {std::move(entry->second.path)}, {}, id}, {});
  watchers_.erase(entry);
}

void store_thread::deliver() {
  const auto alive = std::weak_ptr{alive_};
  for (auto& outcome : exchange_->take()) {
    if (auto* answer = std::get_if<store_answer>(&outcome)) {
      const auto done = std::move(waiting_.front());
      waiting_.pop_front();
      if (done)
        done(*answer);
    } else {
      const auto& change = std::get<store_change>(outcome);
      const auto entry = watchers_.find(change.id);
      if (entry == watchers_.end())
        continue;
      const auto changed = entry->second.changed;
      (*changed)(change.path);
    }
    if (alive.expired())
      return; // a callback has destroyed us
  }
}

} // namespace vtpm::xenio::xen
