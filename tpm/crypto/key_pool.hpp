#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

#include <sys/types.h>

#include "tpm/crypto/rsa_key.hpp"

namespace vtpm::tpm {

/// When a pool makes its keys.
enum class pool_pace {
  /// At the least priority of an ordinary thread: on a busy machine slowly.
  background,
  /// As any other work.
  normal,
};

/// RSA-2048 keys with exponent 65537, made ahead by a thread of the pool's own.
/// Each key is OpenSSL's work, with its private random generator, has passed
/// RSA_check_key, is given away once and never stored. Any thread may take.
class key_pool {
public:
  /// @pre `capacity` is not zero.
  key_pool(std::size_t capacity, pool_pace pace);

  /// Wipes what nobody took. Waits for the thread, which stops at the next
  /// candidate for a prime; it is made to hurry where the process may do so
  /// (CAP_SYS_NICE or RLIMIT_NICE), and else may want for a processor.
  ~key_pool();

  key_pool(const key_pool&) = delete;
  key_pool& operator=(const key_pool&) = delete;

  /// Returns a key, or null if none is ready. A process that was forked off
  /// gets none: its parent has the same ones.
  rsa_ptr take();

  /// Waits until as many keys are ready as there is room for. Returns false if
  /// the pool has given up, because OpenSSL fails.
  bool wait_until_full();

private:
  void fill();

  const std::size_t capacity_;
  const pool_pace pace_;
  const pid_t owner_;
  std::atomic<bool> ending_ = false;
  std::mutex mutex_;
  /// `keys_`, `ending_` or `gave_up_` has changed.
  std::condition_variable changed_;
  std::vector<rsa_ptr> keys_;
  bool gave_up_ = false;
  /// The thread's number once it runs in the background, else 0.
  std::atomic<pid_t> filler_id_ = 0;
  std::thread filler_;
};

} // namespace vtpm::tpm
