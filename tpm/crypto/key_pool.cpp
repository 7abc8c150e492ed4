// See tpm/crypto/rsa_key.cpp.
#define OPENSSL_API_COMPAT 10100

#include "tpm/crypto/key_pool.hpp"

#include <cassert>
#include <utility>

#include <openssl/bn.h>
#include <openssl/rsa.h>

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include "protocol/log.hpp"

namespace vtpm::tpm {

namespace {

struct free_number {
  void operator()(BIGNUM* number) const noexcept {
    BN_free(number);
  }

  void operator()(BN_GENCB* callback) const noexcept {
    BN_GENCB_free(callback);
  }
};

/// Returns 0, which ends the generation, once the flag is set.
int go_on(int, int, BN_GENCB* callback) {
  const auto* ending
    = static_cast<const std::atomic<bool>*>(BN_GENCB_get_arg(callback));
  return ending->load(std::memory_order_relaxed) ? 0 : 1;
}

/// Returns a key that passed the checks, or null.
rsa_ptr generate(std::atomic<bool>& ending) {
  const auto exponent = std::unique_ptr<BIGNUM, free_number>{BN_new()};
  const auto callback = std::unique_ptr<BN_GENCB, free_number>{BN_GENCB_new()};
  auto key = make_plain_rsa();
  if (!exponent || !callback || !key
      || BN_set_word(exponent.get(), RSA_F4) != 1)
    return nullptr;
  BN_GENCB_set(callback.get(), go_on, &ending);
  if (RSA_generate_key_ex(key.get(), 2048, exponent.get(), callback.get()) != 1
      || RSA_check_key_ex(key.get(), callback.get()) != 1)
    return nullptr;
  return key;
}

/// Of setpriority(2): the least there is. SCHED_IDLE would be less, and on a
/// busy machine a killed vtpmd would then take seconds to die, with its state
/// locked (measured: 5 to 7 s at load 8).
constexpr auto background_niceness = 19;

/// Makes the calling thread an ordinary one, of this niceness, also where we
/// were started as something better. Returns whether that worked.
bool become_ordinary(int niceness) {
  const auto parameters = sched_param{};
  return ::sched_setscheduler(0, SCHED_OTHER, &parameters) == 0
    && ::setpriority(PRIO_PROCESS, 0, niceness) == 0;
}

} // namespace

key_pool::key_pool(std::size_t capacity, pool_pace pace)
  : capacity_(capacity), pace_(pace), owner_(::getpid()) {
  assert(capacity > 0);
  keys_.reserve(capacity);
  filler_ = std::thread{[this] { fill(); }};
}

key_pool::~key_pool() {
  {
    const auto lock = std::lock_guard{mutex_};
    ending_ = true;
  }
  changed_.notify_all();
  if (const auto id = filler_id_.load(); id != 0)
    ::setpriority(PRIO_PROCESS, static_cast<id_t>(id), 0);
  filler_.join();
}

rsa_ptr key_pool::take() {
  if (::getpid() != owner_)
    return nullptr;
  auto key = rsa_ptr{};
  {
    const auto lock = std::lock_guard{mutex_};
    if (keys_.empty())
      return nullptr;
    key = std::move(keys_.back());
    keys_.pop_back();
  }
  changed_.notify_all();
  return key;
}

bool key_pool::wait_until_full() {
  auto lock = std::unique_lock{mutex_};
  changed_.wait(lock, [this] { return keys_.size() == capacity_ || gave_up_; });
  return !gave_up_;
}

void key_pool::fill() {
  auto able = true;
  if (pace_ == pool_pace::background) {
    able = become_ordinary(background_niceness);
    filler_id_ = ::gettid();
  }
  auto lock = std::unique_lock{mutex_};
  while (able) {
    changed_.wait(lock, [this] { return keys_.size() < capacity_ || ending_; });
    if (ending_)
      return;
    lock.unlock();
    auto key = generate(ending_);
    lock.lock();
    able = key != nullptr;
    if (able) {
      keys_.push_back(std::move(key));
      changed_.notify_all();
    }
  }
  if (!ending_)
    log().error("the key pool has ended: a key could not be made");
  gave_up_ = true;
  changed_.notify_all();
}

} // namespace vtpm::tpm
