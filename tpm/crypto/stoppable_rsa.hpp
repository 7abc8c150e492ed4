#pragma once

#include <atomic>

namespace vtpm::tpm {

/// While one of these lives, RSA key generation anywhere in this process looks
/// at a flag as it goes, and fails once the flag is set. For libraries that
/// generate keys by `RSA_generate_key_ex` and give us no say in it.
class stoppable_rsa {
public:
  /// @pre No other one lives, and no other thread uses RSA meanwhile.
  explicit stoppable_rsa(const std::atomic<bool>& stop) noexcept;

  ~stoppable_rsa();

  stoppable_rsa(const stoppable_rsa&) = delete;
  stoppable_rsa& operator=(const stoppable_rsa&) = delete;
};

} // namespace vtpm::tpm
