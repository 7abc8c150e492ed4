// EC key methods are deprecated in OpenSSL 3 and have no successor that
// reaches into another library's calls.
#define OPENSSL_API_COMPAT 10100

#include "tpm/crypto/ec_method.hpp"

#include <array>
#include <memory>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/objects.h>

namespace vtpm::tpm {

namespace {

struct free_openssl {
  void operator()(BIGNUM* number) const noexcept {
    BN_free(number);
  }

  void operator()(EC_GROUP* group) const noexcept {
    EC_GROUP_free(group);
  }

  void operator()(EC_KEY* key) const noexcept {
    EC_KEY_free(key);
  }

  void operator()(EC_KEY_METHOD* method) const noexcept {
    EC_KEY_METHOD_free(method);
  }
};

template <class T>
using handle = std::unique_ptr<T, free_openssl>;

using sign_function = int (*)(int, const unsigned char*, int, unsigned char*,
                              unsigned*, const BIGNUM*, const BIGNUM*, EC_KEY*);
using setup_function = int (*)(EC_KEY*, BN_CTX*, BIGNUM**, BIGNUM**);
using sign_sig_function = ECDSA_SIG* (*)(const unsigned char*, int,
                                         const BIGNUM*, const BIGNUM*, EC_KEY*);

/// What OpenSSL's own method signs with.
struct sign_functions {
  sign_function sign = nullptr;
  setup_function setup = nullptr;
  sign_sig_function sign_sig = nullptr;
};

sign_functions own_functions() noexcept {
  auto own = sign_functions{};
  EC_KEY_METHOD_get_sign(EC_KEY_OpenSSL(), &own.sign, &own.setup,
                         &own.sign_sig);
  return own;
}

/// The numbers that make a curve over a prime field, as SEC 1, 3.1.1.1 has
/// them: p, a, b, the base point, its order n and the cofactor h.
struct curve_numbers {
  std::array<handle<BIGNUM>, 7> numbers;

  curve_numbers() {
    for (auto& number : numbers)
      number.reset(BN_new());
  }

  bool read(const EC_GROUP* group) {
    for (const auto& number : numbers)
      if (number == nullptr)
        return false;
    const auto at = [&](std::size_t i) { return numbers[i].get(); };
    const auto* base = EC_GROUP_get0_generator(group);
    return base != nullptr
      && EC_GROUP_get_curve(group, at(0), at(1), at(2), nullptr) == 1
      && EC_POINT_get_affine_coordinates(group, base, at(3), at(4), nullptr)
      == 1
      && EC_GROUP_get_order(group, at(5), nullptr) == 1
      && EC_GROUP_get_cofactor(group, at(6), nullptr) == 1;
  }

  bool operator==(const curve_numbers& other) const noexcept {
    for (std::size_t i = 0; i < numbers.size(); ++i)
      if (BN_cmp(numbers[i].get(), other.numbers[i].get()) != 0)
        return false;
    return true;
  }
};

/// P-256 with OpenSSL's own code for it.
struct named_curve {
  named_curve() : group(EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1)) {
    known = group != nullptr && numbers.read(group.get());
  }

  /// Returns whether `other` is the same curve under any name or none.
  bool matches(const EC_GROUP* other) const {
    auto theirs = curve_numbers{};
    return known && other != nullptr
      && EC_GROUP_get_degree(other) == EC_GROUP_get_degree(group.get())
      && theirs.read(other) && theirs == numbers;
  }

  handle<EC_GROUP> group;
  curve_numbers numbers;
  bool known = false;
};

/// Returns the key that `key` is, on the named curve; null for one that is not
/// on it.
handle<EC_KEY> on_named_curve(const EC_KEY* key) {
  static const auto curve = named_curve{};
  const auto* secret = EC_KEY_get0_private_key(key);
  if (secret == nullptr || !curve.matches(EC_KEY_get0_group(key)))
    return nullptr;
  auto result = handle<EC_KEY>{EC_KEY_new()};
  if (result == nullptr
      || EC_KEY_set_method(result.get(), EC_KEY_OpenSSL()) != 1
      || EC_KEY_set_group(result.get(), curve.group.get()) != 1
      || EC_KEY_set_private_key(result.get(), secret) != 1)
    return nullptr;
  return result;
}

/// Stands in for OpenSSL's own, and calls it.
ECDSA_SIG* sign_sig(const unsigned char* digest, int size,
                    const BIGNUM* inverse_of_k, const BIGNUM* r, EC_KEY* key) {
  static const auto own = own_functions();
  const auto fast = on_named_curve(key);
  return own.sign_sig(digest, size, inverse_of_k, r,
                      fast != nullptr ? fast.get() : key);
}

handle<EC_KEY_METHOD> make_method() {
  auto method = handle<EC_KEY_METHOD>{EC_KEY_METHOD_new(EC_KEY_OpenSSL())};
  const auto own = own_functions();
  if (method != nullptr)
    EC_KEY_METHOD_set_sign(method.get(), own.sign, own.setup, sign_sig);
  return method;
}

} // namespace

ec_method::ec_method() {
  static const auto method = make_method();
  // Without a method everything works, only slower.
  if (method != nullptr)
    EC_KEY_set_default_method(method.get());
}

ec_method::~ec_method() {
  EC_KEY_set_default_method(EC_KEY_OpenSSL());
}

} // namespace vtpm::tpm
