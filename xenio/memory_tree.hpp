#pragma once

#include <map>
#include <memory>
#include <string_view>

#include "xenio/event_loop.hpp"
#include "xenio/store.hpp"

namespace vtpm::xenio {

/// A XenStore in memory, for the own process alone. Requests take effect when
/// they are made; what they yield, and what watches report, comes through the
/// event loop in the order in which it came about. As in XenStore:
///   - a node's path is at most 3072 octets, or 2048 when relative, and made of
///     letters, digits and "-/_@:." without empty components; path, a zero
///     octet and value fit into 4096 octets (xen/include/public/io/xs_wire.h);
///   - the own home is /local/domain/0;
///   - writing a node makes its parents, with empty values, silently.
class memory_tree final : public store {
public:
  static constexpr std::size_t absolute_path_size_max = 3072;
  static constexpr std::size_t relative_path_size_max = 2048;
  static constexpr std::size_t payload_size_max = 4096;

  /// @param loop Outlives the tree.
  explicit memory_tree(event_loop& loop);

  memory_tree(const memory_tree&) = delete;
  memory_tree& operator=(const memory_tree&) = delete;

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

  // -- the same at once, for those who own the tree ---------------------------

  /// Returns a node's value, nullopt when there is no such node.
  value get(std::string_view path) const;

  /// Returns the names of a node's children, sorted.
  std::vector<std::string> children(std::string_view path) const;

  /// Writes a node. Returns `false` when path or value break a limit.
  bool set(std::string_view path, std::string_view text);

  /// Removes a node and everything below it. Returns `false` when there is no
  /// such node.
  bool erase(std::string_view path);

private:
  struct watcher {
    std::string absolute;
    bool is_relative;
    std::shared_ptr<const std::function<void(const std::string&)>> changed;
  };

  /// Runs `job` later, unless the tree is gone by then.
  void later(std::function<void()> job);

  /// Reports `absolute` to one watch, later.
  void report(watch_id id, const watcher& to, const std::string& absolute);

  event_loop& loop_;
  /// Absolute path to value; every parent is there too.
  std::map<std::string, std::string, std::less<>> nodes_;
  std::map<watch_id, watcher> watchers_;
  watch_id next_watch_ = 1;
  /// Expires with the tree.
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

} // namespace vtpm::xenio
