#include "actors/shutdown_watch.hpp"

#include <string>
#include <utility>
#include <vector>

#include "actors/rule_text.hpp"
#include "protocol/log.hpp"

namespace vtpm::actors {

namespace {

const std::string order_path = "control/shutdown";

} // namespace

const char* to_string(shutdown_order order) noexcept {
  switch (order) {
    case shutdown_order::poweroff:
      return "poweroff";
    case shutdown_order::reboot:
      return "reboot";
    case shutdown_order::halt:
      return "halt";
  }
  return "unknown";
}

std::optional<shutdown_order> parse_shutdown_order(
  std::string_view word) noexcept {
  for (auto order :
       {shutdown_order::poweroff, shutdown_order::reboot, shutdown_order::halt})
    if (word == to_string(order))
      return order;
  return std::nullopt;
}

shutdown_watch::shutdown_watch(xenio::store& store,
                               std::function<void(shutdown_order)> on_order)
  : store_(store), on_order_(std::move(on_order)) {
  store_.read({"domid"},
              [this, alive = std::weak_ptr{alive_}](
                const std::vector<xenio::store::value>& own) {
                if (!alive.expired() && own.front().value_or("0") != "0")
                  begin();
              });
}

shutdown_watch::~shutdown_watch() {
  if (watch_)
    store_.unwatch(*watch_);
}

void shutdown_watch::begin() {
  for (auto order :
       {shutdown_order::poweroff, shutdown_order::reboot, shutdown_order::halt})
    store_.write(std::string{"control/feature-"} + to_string(order), "1", {});
  // What a suspended vTPM domain had promised would be lost with its memory.
  store_.write("control/feature-suspend", "0", {});
  watch_ = store_.watch(order_path, [this](const std::string&) { look(); });
}

void shutdown_watch::look() {
  store_.read({order_path},
              [this, alive = std::weak_ptr{alive_}](
                const std::vector<xenio::store::value>& found) {
                const auto& word = found.front();
                if (!alive.expired() && word && !word->empty())
                  obey(*word);
              });
}

void shutdown_watch::obey(const std::string& word) {
  store_.write(order_path, "", {});
  const auto order = parse_shutdown_order(word);
  if (!order) {
    log().warn("the toolstack orders {}, which this domain does not do",
               quoted(word));
    return;
  }
  log().info("the toolstack orders {}", word);
  on_order_(*order);
}

} // namespace vtpm::actors
