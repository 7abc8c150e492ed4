#include "deploy/ctl/ask.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>
#include <variant>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "deploy/unix_socket.hpp"
#include "protocol/admin.hpp"
#include "protocol/tpm_header.hpp"
#include "xenio/loopback/frontend.hpp"
#include "xenio/xen/admin_device.hpp"
#include "xenio/xen/frontend.hpp"

namespace vtpm::deploy {

namespace {

/// TPM_BADTAG (Part 2, 16) and TPM_RC_BAD_TAG (2.0 Part 2, 6.6.3): the TPM is
/// of the other version.
constexpr auto bad_tag = std::uint32_t{0x1E};

/// A reply that changes between two pages is read anew this many times.
constexpr auto attempts_max = 3;

ask_failure failed(std::string why) {
  return {exit_code::failure, std::move(why)};
}

/// Reads up to a line feed, which is not returned.
ask_result<std::string> read_line(int socket) {
  std::string line;
  for (;;) {
    std::array<char, 4096> buffer;
    const auto count = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0 && errno == EAGAIN)
      return failed("vtpmd did not answer within "
                    + std::to_string(reply_limit.count()) + " s");
    if (count <= 0)
      return failed("vtpmd closed the connection without an answer");
    line.append(buffer.data(), static_cast<std::size_t>(count));
    if (line.back() == '\n') {
      line.pop_back();
      return line;
    }
    if (line.size() > reply_size_max)
      return failed("the reply is too long");
  }
}

/// What became of one page.
struct page {
  /// The TPM says that the request's form is the other version's.
  bool other_version = false;
  std::uint32_t total = 0;
  std::string text;
};

ask_result<page> read_page(xenio::frontend& ring, tpm_version version,
                           const std::string& request, std::size_t offset) {
  const auto packet = protocol::encode_admin_request(
    version, {static_cast<std::uint32_t>(offset), request});
  const auto response
    = ring.transact(protocol::admin_locality, packet, reply_limit);
  if (!response)
    return failed("the ring failed: " + response.error().detail);
  const auto header = protocol::tpm_header::decode_response(*response);
  if (!header)
    return failed("the response is malformed");
  if (header->code == bad_tag)
    return page{true, 0, {}};
  if (header->code != protocol::tpm_success) {
    std::array<char, 16> code;
    std::snprintf(code.data(), code.size(), "0x%x", header->code);
    return failed(std::string{"vtpmd refused with "} + code.data()
                  + ": does a --locality rule give this frontend locality 8?");
  }
  const auto reply = protocol::decode_admin_reply(*response);
  if (!reply || reply->offset != offset || reply->total > reply_size_max
      || (reply->text.empty() && offset < reply->total))
    return failed("the response is malformed");
  return page{false, reply->total, std::string{reply->text}};
}

/// Reads a whole reply; nothing when the TPM is of the other version.
ask_result<std::optional<std::string>> read_pages(xenio::frontend& ring,
                                                  tpm_version version,
                                                  const std::string& request) {
  using maybe_text = std::optional<std::string>;
  for (auto attempt = 0; attempt < attempts_max; ++attempt) {
    std::string text;
    auto total = std::optional<std::uint32_t>{};
    while (!total || text.size() < *total) {
      auto next = read_page(ring, version, request, text.size());
      if (!next)
        return next.error();
      if (next->other_version)
        return maybe_text{};
      if (total && *total != next->total)
        break;
      total = next->total;
      text += next->text;
    }
    if (text.size() == *total)
      return maybe_text{std::move(text)};
  }
  return failed("the reply changed while it was read: try again");
}

ask_failure unreachable(const xenio::error& why) {
  return {why.code == xenio::errc::refused ? exit_code::failure
                                           : exit_code::no_connection,
          why.detail};
}

/// Keeps others from the same device for as long as it is open.
ask_result<descriptor> lock_device(const xen_ring& ring) {
  const auto path = "/run/vtpmctl." + std::to_string(ring.domain) + "."
    + std::to_string(ring.handle) + ".lock";
  descriptor file{::open(path.c_str(),
                         O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW,
                         S_IRUSR | S_IWUSR)};
  if (!file)
    return failed("cannot open " + path + ": " + std::strerror(errno));
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0)
    return failed("another vtpmctl uses this ring: try again, or use another "
                  "handle");
  return file;
}

ask_result<std::string> ask_through(const loopback_ring& ring,
                                    std::optional<tpm_version> version,
                                    const std::string& request) {
  const auto frontend = xenio::loopback::connect(ring.path, ring.who);
  if (!frontend)
    return unreachable(frontend.error());
  return ask_ring(**frontend, version, request);
}

ask_result<std::string> ask_through(const xen_ring& ring,
                                    std::optional<tpm_version> version,
                                    const std::string& request) {
  const auto lock = lock_device(ring);
  if (!lock)
    return lock.error();
  auto parts = xenio::xen::open_frontend_parts();
  if (!parts)
    return unreachable(parts.error());
  auto store = xenio::xen::open_store_link();
  if (!store)
    return unreachable(store.error());
  const auto device = xenio::xen::admin_device::obtain(
    *std::move(store), ring.domain, ring.handle);
  if (!device)
    return unreachable(device.error());
  const auto frontend
    = xenio::xen::connect(*std::move(parts), (*device)->directory());
  if (!frontend)
    return unreachable(frontend.error());
  return ask_ring(**frontend, version, request);
}

} // namespace

ask_result<std::string> ask_socket(const std::string& path,
                                   const std::string& request) {
  const auto socket = connect_unix(path);
  if (!socket)
    return ask_failure{exit_code::no_connection, socket.error().text};
  const timeval limit{reply_limit.count(), 0};
  ::setsockopt(socket->get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  const auto line = request + '\n';
  // Shorter than any socket's buffer, so it goes whole or not at all. If vtpmd
  // has hung up there may still be a reply that says why.
  ::send(socket->get(), line.data(), line.size(), MSG_NOSIGNAL);
  return read_line(socket->get());
}

ask_result<std::string> ask_ring(xenio::frontend& ring,
                                 std::optional<tpm_version> version,
                                 const std::string& request) {
  const auto candidates = version
    ? std::vector{*version}
    : std::vector{tpm_version::v1_2, tpm_version::v2_0};
  for (const auto candidate : candidates) {
    auto reply = read_pages(ring, candidate, request);
    if (!reply)
      return reply.error();
    if (*reply)
      return std::move(**reply);
  }
  return failed("this TPM is not of the version given with --ring-tpm");
}

ask_result<std::string> ask(const ask_command& question) {
  const auto request = encode_control_request(question.request);
  if (const auto* route = std::get_if<socket_route>(&question.route))
    return ask_socket(route->path, request);
  const auto& route = std::get<ring_route>(question.route);
  return std::visit(
    [&](const auto& ring) { return ask_through(ring, route.version, request); },
    route.ring);
}

} // namespace vtpm::deploy
