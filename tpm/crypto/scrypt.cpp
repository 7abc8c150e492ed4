#include "tpm/crypto/scrypt.hpp"

#include <openssl/evp.h>

#include "tpm/crypto/openssl_error.hpp"

namespace vtpm::tpm {

namespace {

constexpr std::uint64_t block_size_r = 8;

constexpr std::uint64_t parallel_p = 1;

constexpr std::size_t key_size = 32;

} // namespace

result<secret_bytes> scrypt(byte_view passphrase, byte_view salt,
                            unsigned log2_cost) {
  const auto cost = std::uint64_t{1} << log2_cost;
  // RFC 7914, 6: the vector V and one block of it, and some more.
  const auto memory_max = 128 * block_size_r * (cost + 2 * parallel_p + 16);
  auto key = secret_bytes(key_size);
  if (EVP_PBE_scrypt(reinterpret_cast<const char*>(passphrase.data()),
                     passphrase.size(), salt.data(), salt.size(), cost,
                     block_size_r, parallel_p, memory_max, key.data(),
                     key.size())
      != 1)
    return openssl_error("cannot make a key of the passphrase");
  return key;
}

} // namespace vtpm::tpm
