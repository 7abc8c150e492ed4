#include "deploy/vtpmd/notify.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <fstream>

#include <sys/socket.h>
#include <sys/un.h>

#include <doctest/doctest.h>

#include "deploy/unix_socket.hpp"
#include "tests/xenio/scratch_directory.hpp"

using namespace vtpm::deploy;

namespace {

/// A service manager: a datagram socket at `name`, "@..." for abstract.
class manager {
public:
  explicit manager(const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(name.size() < sizeof(address.sun_path));
    name.copy(address.sun_path, name.size());
    auto size = offsetof(sockaddr_un, sun_path) + name.size();
    if (name.front() == '@')
      address.sun_path[0] = '\0';
    else
      ++size;
    REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address),
                   static_cast<socklen_t>(size))
            == 0);
  }

  /// Returns the next message, "" when there is none.
  std::string next() {
    std::array<char, 256> buffer;
    const auto count
      = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    return count > 0
      ? std::string{buffer.data(), static_cast<std::size_t>(count)}
      : std::string{};
  }

private:
  descriptor socket_{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
};

} // namespace

TEST_SUITE("deploy/vtpmd/notify") {
  TEST_CASE("messages arrive at a path and at an abstract name") {
    const vtpm::tests::scratch_directory directory;
    for (const auto& name : {(directory.path() / "notify").string(),
                             "@" + directory.path().string()}) {
      CAPTURE(name);
      manager listening{name};
      const service_notifier notifier{name.c_str()};
      notifier.ready();
      CHECK(listening.next() == "READY=1");
      notifier.status("two\nlines");
      CHECK(listening.next() == "STATUS=two lines");
      notifier.stopping();
      CHECK(listening.next() == "STOPPING=1");
      CHECK(listening.next().empty());
    }
  }

  TEST_CASE("without a manager, or with a dead one, life goes on") {
    const std::string too_long(200, 'x');
    for (const auto* name : {static_cast<const char*>(nullptr), "", "relative",
                             "/nonexistent/notify", too_long.c_str()})
      service_notifier{name}.ready();
  }

  TEST_CASE("a manager that does not read does not stop us") {
    const vtpm::tests::scratch_directory directory;
    const auto name = "@" + directory.path().string();
    manager deaf{name};
    const service_notifier notifier{name.c_str()};
    auto queue_length = 0;
    std::ifstream{"/proc/sys/net/unix/max_dgram_qlen"} >> queue_length;
    // One more than the limit fits, and the next finds the queue full.
    for (auto i = 0; i < queue_length + 2; ++i)
      notifier.ready();
    CHECK(deaf.next() == "READY=1");
  }
}
