#include "xenio/xen/store_link.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <utility>

// C, and does not say so.
extern "C" {
#include <xenstore.h>
}

namespace vtpm::xenio::xen {

namespace {

struct closer {
  void operator()(xs_handle* handle) const noexcept {
    ::xs_close(handle);
  }
};

struct freer {
  void operator()(void* memory) const noexcept {
    std::free(memory);
  }
};

using handle_ptr = std::unique_ptr<xs_handle, closer>;

/// How often a write is tried while others change the same nodes.
constexpr auto attempts_max = 10;

template <class T>
using malloced = std::unique_ptr<T, freer>;

/// Returns the error of a call that has just failed.
error failure(const char* what, const std::string& path) {
  const auto code = errno;
  // What libxenstore says once xenstored has closed the connection, and what
  // the kernel says to the one that notices.
  if (code == EBADF || code == EPIPE || code == ECONNRESET)
    return {errc::gone, "xenstored has closed the connection"};
  auto reason
    = io_error(std::string{"xenstored does not "} + what + " " + path, code);
  if (code == ENOENT || code == EACCES)
    reason.code = errc::refused;
  return reason;
}

/// Returns whether the last failure means that the node is not there for us.
bool is_absent() noexcept {
  return errno == ENOENT || errno == EACCES;
}

class xs_link final : public store_link {
public:
  explicit xs_link(handle_ptr handle) noexcept : handle_(std::move(handle)) {
    // nop
  }

  int descriptor() const noexcept override {
    return ::xs_fileno(handle_.get());
  }

  result<store::value> read(const std::string& path) override {
    auto size = 0U;
    const malloced<char> text{static_cast<char*>(
      ::xs_read(handle_.get(), XBT_NULL, path.c_str(), &size))};
    if (text != nullptr)
      return store::value{std::string(text.get(), size)};
    // EINVAL: what a guest wrote is no path.
    if (is_absent() || errno == EINVAL)
      return store::value{};
    return failure("read", path);
  }

  result<std::vector<std::string>> list(const std::string& path) override {
    auto count = 0U;
    const malloced<char*> names{
      ::xs_directory(handle_.get(), XBT_NULL, path.c_str(), &count)};
    if (names != nullptr)
      return std::vector<std::string>(names.get(), names.get() + count);
    if (is_absent())
      return std::vector<std::string>{};
    return failure("list", path);
  }

  result<unit> write(const std::string& path,
                     const std::string& text) override {
    for (auto attempt = 0; attempt < attempts_max; ++attempt) {
      const auto transaction = ::xs_transaction_start(handle_.get());
      if (transaction == XBT_NULL)
        return failure("write", path);
      auto written = check(write_below(transaction, path, text), "write", path);
      const auto ended = ::xs_transaction_end(handle_.get(), transaction,
                                              /*abort=*/!written);
      if (!written || ended)
        return written;
      if (errno != EAGAIN)
        return failure("write", path);
    }
    return failure("write", path);
  }

  result<unit> remove(const std::string& path) override {
    const auto removed = ::xs_rm(handle_.get(), XBT_NULL, path.c_str());
    return check(removed || errno == ENOENT, "remove", path);
  }

  result<unit> watch(const std::string& path,
                     const std::string& token) override {
    return check(::xs_watch(handle_.get(), path.c_str(), token.c_str()),
                 "watch", path);
  }

  result<unit> unwatch(const std::string& path,
                       const std::string& token) override {
    return check(::xs_unwatch(handle_.get(), path.c_str(), token.c_str()),
                 "unwatch", path);
  }

  result<unit> make(const std::string& path, domid owner,
                    domid reader) override {
    std::array<xs_permissions, 2> permissions = {};
    permissions[0].id = owner;
    permissions[0].perms = XS_PERM_NONE;
    permissions[1].id = reader;
    permissions[1].perms = XS_PERM_READ;
    return check(::xs_mkdir(handle_.get(), XBT_NULL, path.c_str())
                   && ::xs_set_permissions(handle_.get(), XBT_NULL,
                                           path.c_str(), permissions.data(),
                                           permissions.size()),
                 "make", path);
  }

  result<std::optional<store_event>> next_event() override {
    const malloced<char*> event{::xs_check_watch(handle_.get())};
    if (event != nullptr)
      return std::optional{
        store_event{event.get()[XS_WATCH_PATH], event.get()[XS_WATCH_TOKEN]}};
    if (errno == EAGAIN)
      return std::optional<store_event>{};
    return failure("report", "changes");
  }

private:
  /// Writes a node unless there is none above it; xenstored would make it.
  bool write_below(xs_transaction_t transaction, const std::string& path,
                   const std::string& text) {
    const auto above = path.substr(0, path.rfind('/'));
    auto count = 0U;
    const malloced<char*> names{
      ::xs_directory(handle_.get(), transaction, above.c_str(), &count)};
    return names != nullptr
      && ::xs_write(handle_.get(), transaction, path.c_str(), text.data(),
                    static_cast<unsigned>(text.size()));
  }

  static result<unit> check(bool worked, const char* what,
                            const std::string& path) {
    if (worked)
      return unit{};
    return failure(what, path);
  }

  handle_ptr handle_;
};

} // namespace

result<std::unique_ptr<store_link>> open_store_link() {
  handle_ptr handle{::xs_open(0)};
  if (handle == nullptr)
    return error{
      errc::io,
      "XenStore does not open (" + std::generic_category().message(errno)
        + "): is xenstored running (dom0), is xenfs' /dev/xen/xenbus "
          "there (a guest), and do we run as root?"};
  return std::unique_ptr<store_link>{
    std::make_unique<xs_link>(std::move(handle))};
}

} // namespace vtpm::xenio::xen
