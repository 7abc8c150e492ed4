#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "protocol/bytes.hpp"
#include "tpm/errc.hpp"

namespace vtpm::tpm {

/// Writes durably without blocking the caller. One write at a time.
class committer {
public:
  virtual ~committer();

  committer(const committer&) = delete;
  committer& operator=(const committer&) = delete;

  /// Starts writing `data` at `offset`; the write is whole and on stable
  /// storage, or failed, once `descriptor` becomes readable.
  /// @param data Aligned as the state's device demands; not touched by the
  ///             caller until `finish` has returned a value.
  /// @pre No write is under way.
  virtual void start(std::uint64_t offset, byte_view data) = 0;

  /// Readable while a finished write waits for `finish`.
  virtual int descriptor() const noexcept = 0;

  /// Returns how the write ended, or `nullopt` while it is under way. A short
  /// write is an error. Clears `descriptor`.
  virtual std::optional<result<unit>> finish() = 0;

  /// The mechanism's name for the log: "io_uring", "thread".
  virtual const char* name() const noexcept = 0;

protected:
  committer() = default;
};

/// Writes and waits until that has ended; for when there is nobody to block.
/// @pre No write is under way.
result<unit> write_and_wait(committer& writer, std::uint64_t offset,
                            byte_view data);

/// Which mechanism to use.
enum class committer_kind : std::uint8_t {
  /// io_uring where the kernel allows it, else a thread.
  automatic,
  uring,
  thread,
};

/// Makes a committer that writes to `descriptor`, which stays the caller's and
/// must stay open. A write's durability comes from RWF_DSYNC, whatever flags
/// the descriptor was opened with.
result<std::unique_ptr<committer>> make_committer(committer_kind kind,
                                                  int descriptor);

} // namespace vtpm::tpm
