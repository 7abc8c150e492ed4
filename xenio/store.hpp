#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace vtpm::xenio {

/// The key-value tree through which frontends and backends find each other:
/// XenStore, or what stands in for it. A path that does not start with '/' is
/// relative to the own domain's home. Used from the event loop's thread only;
/// results come as calls on that thread, later, in the order of the requests.
class store {
public:
  using value = std::optional<std::string>;
  using watch_id = std::uint64_t;

  virtual ~store() = default;

  /// Reads each path; what is absent or not for us to read yields nullopt.
  virtual void read(std::vector<std::string> paths,
                    std::function<void(std::vector<value>)> done)
    = 0;

  /// Lists the children's names; empty when there is no such node.
  virtual void list(std::string path,
                    std::function<void(std::vector<std::string>)> done)
    = 0;

  /// Writes a node, making it if need be, unless the node above it does not
  /// exist: what somebody else has removed stays removed. `done` (may be empty)
  /// gets whether that worked.
  virtual void write(std::string path, std::string text,
                     std::function<void(bool)> done)
    = 0;

  /// Removes a node and everything below it.
  virtual void remove(std::string path, std::function<void(bool)> done) = 0;

  /// Calls `changed` with the path of each node at or below `path` that is
  /// written or removed; once at first with `path` itself. Removing a node
  /// reports that node only, not what was below it; a watch below it gets its
  /// own path. A relative `path` gets relative paths. All as in XenStore, but
  /// that changes which come faster than they are delivered may be reported as
  /// one, with the node's own path or, when they are many, with `path`.
  virtual watch_id watch(std::string path,
                         std::function<void(const std::string&)> changed)
    = 0;

  /// Ends a watch; `changed` is not called again.
  virtual void unwatch(watch_id id) = 0;
};

} // namespace vtpm::xenio
