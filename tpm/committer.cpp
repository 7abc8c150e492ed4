#include "tpm/committer.hpp"

#include <cerrno>

#include <poll.h>

#include "protocol/log.hpp"
#include "tpm/committers.hpp"

namespace vtpm::tpm {

committer::~committer() = default;

result<std::unique_ptr<committer>> make_committer(committer_kind kind,
                                                  int descriptor) {
  if (kind == committer_kind::thread)
    return make_thread_committer(descriptor);
  auto uring = make_uring_committer(descriptor);
  if (uring || kind == committer_kind::uring)
    return uring;
  log().info("commits go through a thread: {}", uring.error().detail);
  return make_thread_committer(descriptor);
}

result<unit> write_and_wait(committer& writer, std::uint64_t offset,
                            byte_view data) {
  writer.start(offset, data);
  for (;;) {
    if (auto ended = writer.finish())
      return *std::move(ended);
    auto readable = pollfd{writer.descriptor(), POLLIN, 0};
    if (::poll(&readable, 1, /*timeout=*/-1) < 0 && errno != EINTR)
      return io_error("cannot wait for a write", errno);
  }
}

result<unit> judge_write(ssize_t outcome, std::size_t size) {
  if (outcome < 0)
    return io_error("cannot write the state", static_cast<int>(-outcome));
  if (static_cast<std::size_t>(outcome) != size)
    return error{errc::io,
                 "cannot write the state: only " + std::to_string(outcome)
                   + " of " + std::to_string(size) + " octets went out"};
  return unit{};
}

} // namespace vtpm::tpm
