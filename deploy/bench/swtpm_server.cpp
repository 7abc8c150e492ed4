#include <array>
#include <memory>
#include <utility>

#include <sys/socket.h>

#include "deploy/bench/server.hpp"
#include "deploy/unix_socket.hpp"
#include "protocol/tpmif.hpp"

namespace vtpm::deploy {

namespace {

/// One write and one read per command, as swtpm's own clients do: it answers
/// with one write.
result<byte_vector> exchange(int socket, byte_view command) {
  if (::send(socket, command.data(), command.size(), MSG_NOSIGNAL)
      != static_cast<ssize_t>(command.size()))
    return problem{"cannot send to swtpm"};
  // Not cleared before: that would count against swtpm.
  std::array<std::uint8_t, protocol::packet_size_max> response;
  const auto size = ::recv(socket, response.data(), response.size(), 0);
  if (size <= 0)
    return problem{"no response from swtpm"};
  return byte_vector{response.begin(), response.begin() + size};
}

} // namespace

swtpm_server::swtpm_server(std::string program, tpm_version version,
                           std::string directory, std::optional<unsigned> cpu)
  : server(std::move(directory), cpu),
    program_(std::move(program)),
    version_(version) {
  // nop
}

std::vector<std::string> swtpm_server::arguments() const {
  std::vector<std::string> list
    = {program_,     "socket",
       "--tpmstate", "dir=" + path("."),
       "--server",   "type=unixio,path=" + path("data"),
       "--ctrl",     "type=unixio,path=" + path("control"),
       "--flags",    "not-need-init,startup-clear"};
  if (version_ == tpm_version::v2_0)
    list.push_back("--tpm2");
  return list;
}

result<transactor> swtpm_server::connect() {
  auto connected = connect_unix(path("data"));
  if (!connected)
    return connected.error();
  const auto socket = std::make_shared<descriptor>(std::move(*connected));
  return transactor{
    [socket](byte_view command) { return exchange(socket->get(), command); }};
}

} // namespace vtpm::deploy
