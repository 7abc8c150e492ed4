#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "xenio/store.hpp"

namespace vtpm::actors {

/// How the toolstack wants a domain to end; a word in the domain's own node
/// control/shutdown (docs/misc/xenstore-paths.pandoc in Xen's sources).
enum class shutdown_order : std::uint8_t {
  poweroff,
  reboot,
  halt,
};

/// Returns the word.
const char* to_string(shutdown_order order) noexcept;

/// Returns the order behind a word; none behind "suspend" and the like, which a
/// vTPM domain does not do.
std::optional<shutdown_order> parse_shutdown_order(
  std::string_view word) noexcept;

/// Takes the toolstack's orders to the domain in which vtpmd runs: announces
/// which are honoured, acknowledges each by emptying the node, and passes it
/// on. Does nothing in domain 0, whose end is not the toolstack's to order, and
/// where there is no hypervisor. On the event loop's thread.
class shutdown_watch {
public:
  /// @param store Outlives the watch.
  /// @param on_order Gets every order that is honoured.
  shutdown_watch(xenio::store& store,
                 std::function<void(shutdown_order)> on_order);

  shutdown_watch(const shutdown_watch&) = delete;
  shutdown_watch& operator=(const shutdown_watch&) = delete;

  ~shutdown_watch();

private:
  void begin();
  void look();
  void obey(const std::string& word);

  xenio::store& store_;
  std::function<void(shutdown_order)> on_order_;
  std::optional<xenio::store::watch_id> watch_;
  /// Expires with the watch: what it asked the store may be answered later.
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

} // namespace vtpm::actors
