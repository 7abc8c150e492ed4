#include "tpm/crypto/random.hpp"

#include <cstdlib>

#include <openssl/rand.h>

#include "protocol/log.hpp"

namespace vtpm::tpm {

void fill_random(std::span<std::uint8_t> target) noexcept {
  if (RAND_priv_bytes_ex(nullptr, target.data(), target.size(), 0) != 1) {
    log().critical("OpenSSL has no random octets; giving up");
    std::abort();
  }
}

} // namespace vtpm::tpm
