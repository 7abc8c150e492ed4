#include "tpm/crypto/openssl_error.hpp"

#include <array>
#include <utility>

#include <openssl/err.h>

namespace vtpm::tpm {

error openssl_error(std::string what) {
  auto text = std::array<char, 256>{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  what += ": ";
  what += text.data();
  return {errc::io, std::move(what)};
}

} // namespace vtpm::tpm
