#include <cassert>
#include <cerrno>
#include <memory>
#include <utility>

#include <liburing.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#include "tpm/committers.hpp"
#include "tpm/owned_file.hpp"

namespace vtpm::tpm {

namespace {

/// One write at a time.
constexpr unsigned ring_entries = 1;

class uring_committer final : public committer {
public:
  /// Sets the ring up and tries it; an error says what the kernel refused.
  static result<std::unique_ptr<committer>> make(int target) {
    auto done = owned_descriptor{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (!done)
      return io_error("cannot make an event descriptor", errno);
    auto ring = io_uring{};
    // No IORING_SETUP_COOP_TASKRUN: with it a thread that spins in user space
    // never sees its completion.
    auto code = ::io_uring_queue_init(ring_entries, &ring, 0);
    if (code < 0)
      return io_error("io_uring is not to be had", -code);
    auto out = std::unique_ptr<uring_committer>{
      new uring_committer(target, std::move(done), ring)};
    code = ::io_uring_register_eventfd(&out->ring_, out->done_.get());
    if (code < 0)
      return io_error("io_uring refuses an event descriptor", -code);
    code = out->try_out();
    if (code < 0)
      return io_error("io_uring refuses a durable write", -code);
    return std::unique_ptr<committer>{std::move(out)};
  }

  ~uring_committer() override {
    if (in_kernel_)
      wait();
    ::io_uring_queue_exit(&ring_);
  }

  void start(std::uint64_t offset, byte_view data) override {
    assert(!under_way_);
    under_way_ = true;
    size_ = data.size();
    refusal_ = submit(offset, data);
    if (refusal_ != 0)
      eventfd_write(done_.get(), 1);
  }

  int descriptor() const noexcept override {
    return done_.get();
  }

  std::optional<result<unit>> finish() override {
    auto count = eventfd_t{};
    // Before the look, so that a completion in between stays announced.
    eventfd_read(done_.get(), &count);
    if (refusal_ != 0) {
      under_way_ = false;
      return judge_write(std::exchange(refusal_, 0), size_);
    }
    io_uring_cqe* completion = nullptr;
    if (!in_kernel_ || ::io_uring_peek_cqe(&ring_, &completion) != 0)
      return std::nullopt;
    const auto outcome = completion->res;
    ::io_uring_cqe_seen(&ring_, completion);
    in_kernel_ = false;
    under_way_ = false;
    return judge_write(outcome, size_);
  }

  const char* name() const noexcept override {
    return "io_uring";
  }

private:
  uring_committer(int target, owned_descriptor done,
                  const io_uring& ring) noexcept
    : target_(target), done_(std::move(done)), ring_(ring) {
    // nop
  }

  /// Hands a write to the kernel. Returns 0, or a negated `errno` value when
  /// the kernel did not take it.
  int submit(std::uint64_t offset, byte_view data) noexcept {
    // The queue has one entry: when there is no free one, the kernel has left
    // it there last time, with a write that must not happen any more.
    if (auto* fresh = ::io_uring_get_sqe(&ring_); fresh != nullptr)
      entry_ = fresh;
    ::io_uring_prep_write(entry_, target_, data.data(),
                          static_cast<unsigned>(data.size()), offset);
    entry_->rw_flags = RWF_DSYNC;
    auto code = ::io_uring_submit(&ring_);
    while (code == -EINTR)
      code = ::io_uring_submit(&ring_);
    in_kernel_ = code == 1;
    if (in_kernel_)
      return 0;
    return code < 0 ? code : -EAGAIN;
  }

  /// Waits for the write that is in the kernel and returns its outcome.
  int wait() noexcept {
    io_uring_cqe* completion = nullptr;
    auto code = ::io_uring_wait_cqe(&ring_, &completion);
    while (code == -EINTR)
      code = ::io_uring_wait_cqe(&ring_, &completion);
    in_kernel_ = false;
    if (code < 0)
      return code;
    const auto outcome = completion->res;
    ::io_uring_cqe_seen(&ring_, completion);
    return outcome;
  }

  /// Writes nothing, durably. Returns 0, or a negated `errno` value when this
  /// kernel cannot do that; what the file refuses is for `finish` to say.
  int try_out() noexcept {
    static constexpr std::uint8_t nothing[1] = {};
    if (const auto code = submit(0, byte_view{nothing, 0}); code != 0)
      return code;
    const auto outcome = wait();
    auto count = eventfd_t{};
    eventfd_read(done_.get(), &count);
    const auto lacking
      = outcome == -EINVAL || outcome == -EOPNOTSUPP || outcome == -ENOSYS;
    return lacking ? outcome : 0;
  }

  const int target_;
  const owned_descriptor done_;
  io_uring ring_;
  io_uring_sqe* entry_ = nullptr;
  std::size_t size_ = 0;
  /// From `start` until `finish` has returned a value.
  bool under_way_ = false;
  bool in_kernel_ = false;
  /// Why the kernel did not take the write, a negated `errno` value; or 0.
  int refusal_ = 0;
};

} // namespace

result<std::unique_ptr<committer>> make_uring_committer(int descriptor) {
  return uring_committer::make(descriptor);
}

} // namespace vtpm::tpm
