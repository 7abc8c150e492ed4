#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "xenio/errc.hpp"
#include "xenio/store.hpp"
#include "xenio/types.hpp"

namespace vtpm::xenio::xen {

/// What a watch reports.
struct store_event {
  std::string path;
  /// As given to `watch`.
  std::string token;
};

/// One connection to xenstored: libxenstore, or what a test puts in its place.
/// Used by one thread. Every call but `next_event` and `descriptor` waits for
/// xenstored's answer, for ever if need be; failing ones say why, `errc::gone`
/// when xenstored has closed the connection.
class store_link {
public:
  virtual ~store_link() = default;

  /// Readable while `next_event` has something.
  virtual int descriptor() const noexcept = 0;

  /// Returns nothing when there is no such node, or it is not for us to read.
  virtual result<store::value> read(const std::string& path) = 0;

  /// Returns the children's names; none when there is no such node.
  virtual result<std::vector<std::string>> list(const std::string& path) = 0;

  /// Fails with `errc::refused` when there is no node above it, or it is not
  /// for us to write.
  virtual result<unit> write(const std::string& path, const std::string& text)
    = 0;

  /// Succeeds when there is no such node.
  virtual result<unit> remove(const std::string& path) = 0;

  virtual result<unit> watch(const std::string& path, const std::string& token)
    = 0;

  virtual result<unit> unwatch(const std::string& path,
                               const std::string& token)
    = 0;

  /// Makes a node that belongs to `owner` and that `reader` may read, as libxl
  /// does for a device's directories. Nodes below it inherit that.
  virtual result<unit> make(const std::string& path, domid owner, domid reader)
    = 0;

  /// Takes one event. Never blocks.
  virtual result<std::optional<store_event>> next_event() = 0;
};

result<std::unique_ptr<store_link>> open_store_link();

} // namespace vtpm::xenio::xen
