#include "tpm/crypto/secret.hpp"

#include <openssl/crypto.h>

namespace vtpm::tpm {

void wipe(void* data, std::size_t size) noexcept {
  OPENSSL_cleanse(data, size);
}

} // namespace vtpm::tpm
