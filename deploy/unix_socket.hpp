#pragma once

#include <string>
#include <utility>

#include <sys/stat.h>
#include <sys/types.h>

#include "deploy/result.hpp"
#include "xenio/descriptor.hpp"

namespace vtpm::deploy {

using xenio::descriptor;

/// A listening Unix stream socket and its name in the file system, which goes
/// with it.
class unix_listener {
public:
  /// Listens at `path`, nonblocking and with permissions `mode`. A socket that
  /// nobody listens on any more is replaced; a live one, or a file of another
  /// kind, is an error.
  static result<unix_listener> open(const std::string& path, mode_t mode);

  unix_listener(unix_listener&&) noexcept = default;
  unix_listener& operator=(unix_listener&&) noexcept = default;

  /// Removes the name unless another process has taken it over.
  ~unix_listener();

  int get() const noexcept {
    return socket_.get();
  }

private:
  unix_listener(descriptor socket, std::string path, struct stat identity)
    : socket_(std::move(socket)), path_(std::move(path)), identity_(identity) {
    // nop
  }

  descriptor socket_;
  std::string path_;
  struct stat identity_;
};

/// Connects to a Unix stream socket; blocks while the other side's queue is
/// full.
result<descriptor> connect_unix(const std::string& path);

} // namespace vtpm::deploy
