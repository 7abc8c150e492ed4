#include "tpm/crypto/self_test_key.hpp"

#include <memory>

#include <openssl/bn.h>

namespace vtpm::tpm {

namespace {

// PUBLISHED TEST KEY: made with `openssl genrsa 2048` for this file. Anybody
// can read it here; nothing secret may ever depend on it.
constexpr auto published_p
  = "e2f05e13e4eb2766771635717626ed94dd6482831e6523a64f26a451595f27cf"
    "3d0287aac13ff42f5040998426bc55f2846b98b79da0a5c1241cf850ad2fc752"
    "3808e8049003d57dd0d5eaf0ed2a37fdee74873cac047a85e84c4e9703caf4f4"
    "120180377b04bde02954e54a3695b11e599731157bb716e1f86278b43c287131";
constexpr auto published_q
  = "e1c10bd318945dea3a3284e9a5e0e75e69df071d9127f2d9d85446bbc11be2a9"
    "446e06f3441e33d264fbc448f5bb17007b6ff5a649bda11322c8aa4791edface"
    "6654b72633914333de50eb2f973751c6d95c21d66545fbf2b3398439c6f88496"
    "7805837cc62eb57ce3c7ea0b343ca65ff2dca2998b20a5105b36c6234332b8fd";

struct free_number {
  void operator()(BIGNUM* value) const noexcept {
    BN_free(value);
  }
};

using number = std::unique_ptr<BIGNUM, free_number>;

number read(const char* digits) {
  BIGNUM* value = nullptr;
  BN_hex2bn(&value, digits);
  return number{value};
}

} // namespace

rsa_ptr make_self_test_key() {
  const auto p = read(published_p);
  const auto q = read(published_q);
  if (!p || !q)
    return nullptr;
  return from_factors(*p, *q);
}

} // namespace vtpm::tpm
