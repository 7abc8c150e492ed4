#include "tpm/crypto/rsa_cache.hpp"

#include <algorithm>
#include <utility>

namespace vtpm::tpm {

RSA* rsa_cache::find(const RSA& key) {
  const auto kept
    = std::find_if(keys_.begin(), keys_.end(),
                   [&](const rsa_ptr& k) { return same_key(*k, key); });
  if (kept != keys_.end()) {
    std::rotate(keys_.begin(), kept, kept + 1);
    return keys_.front().get();
  }
  auto made = with_factors(key);
  if (made == nullptr)
    return nullptr;
  if (keys_.size() == capacity)
    keys_.pop_back();
  keys_.insert(keys_.begin(), std::move(made));
  return keys_.front().get();
}

void rsa_cache::clear() noexcept {
  keys_.clear();
}

} // namespace vtpm::tpm
