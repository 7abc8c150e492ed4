#pragma once

#include <memory>
#include <sys/types.h>

#include "tpm/committer.hpp"

// The mechanisms behind `make_committer`.

namespace vtpm::tpm {

/// One write in the kernel. Refused where io_uring or a durable write through
/// it is not to be had; finds out by trying.
result<std::unique_ptr<committer>> make_uring_committer(int descriptor);

/// One write on a thread of its own.
result<std::unique_ptr<committer>> make_thread_committer(int descriptor);

/// Judges what a write system call returned.
/// @param outcome Octets written, or a negated `errno` value.
/// @param size How many octets there were to write.
result<unit> judge_write(ssize_t outcome, std::size_t size);

} // namespace vtpm::tpm
