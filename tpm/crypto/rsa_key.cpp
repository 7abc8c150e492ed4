// Keys of type RSA are deprecated in OpenSSL 3 and have no successor that
// reaches into another library's calls.
#define OPENSSL_API_COMPAT 10100

#include "tpm/crypto/rsa_key.hpp"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

namespace vtpm::tpm {

namespace {

struct free_number {
  void operator()(BIGNUM* number) const noexcept {
    BN_clear_free(number);
  }

  void operator()(BN_CTX* scratch) const noexcept {
    BN_CTX_free(scratch);
  }
};

using number = std::unique_ptr<BIGNUM, free_number>;
using scratch_space = std::unique_ptr<BN_CTX, free_number>;

/// The greatest common divisor of p-1 and q-1 that is tried. It is 1 in effect
/// where d was taken modulo (p-1)(q-1), as libtpms does, and mostly small where
/// it was taken modulo their least common multiple, as OpenSSL does.
constexpr BN_ULONG divisor_max = 64;

/// Everything a key consists of.
struct parts {
  number n{BN_new()};
  number e{BN_new()};
  number d{BN_new()};
  number p{BN_new()};
  number q{BN_new()};
  number dp{BN_new()};
  number dq{BN_new()};
  number inverse{BN_new()};

  bool complete() const noexcept {
    return n && e && d && p && q && dp && dq && inverse;
  }
};

/// Sets `root` to the integer square root of `square`, by Newton's method from
/// above. Returns whether it is exact.
bool square_root(BIGNUM* root, const BIGNUM* square, BN_CTX* scratch) {
  const auto next = number{BN_new()};
  if (!next || BN_is_negative(square)
      || BN_set_bit(next.get(), (BN_num_bits(square) + 1) / 2) != 1)
    return false;
  do {
    if (BN_copy(root, next.get()) == nullptr
        || BN_div(next.get(), nullptr, square, root, scratch) != 1
        || BN_add(next.get(), next.get(), root) != 1
        || BN_rshift1(next.get(), next.get()) != 1)
      return false;
  } while (BN_cmp(next.get(), root) < 0);
  return BN_sqr(next.get(), root, scratch) == 1
    && BN_cmp(next.get(), square) == 0;
}

/// Sets p and q to the factors of n if `totient` is (p-1)(q-1): their sum is
/// n + 1 - totient, and the square of their difference that of their sum less
/// four times n.
bool split(parts& key, const BIGNUM* totient, BN_CTX* scratch) {
  const auto sum = number{BN_new()};
  const auto difference = number{BN_new()};
  const auto square = number{BN_new()};
  return sum && difference && square
    && BN_sub(sum.get(), key.n.get(), totient) == 1
    && BN_add_word(sum.get(), 1) == 1
    && BN_sqr(square.get(), sum.get(), scratch) == 1
    && BN_lshift(difference.get(), key.n.get(), 2) == 1
    && BN_sub(square.get(), square.get(), difference.get()) == 1
    && square_root(difference.get(), square.get(), scratch)
    && BN_add(key.p.get(), sum.get(), difference.get()) == 1
    && BN_rshift1(key.p.get(), key.p.get()) == 1
    && BN_sub(key.q.get(), sum.get(), difference.get()) == 1
    && BN_rshift1(key.q.get(), key.q.get()) == 1
    && BN_mul(square.get(), key.p.get(), key.q.get(), scratch) == 1
    && BN_cmp(square.get(), key.n.get()) == 0;
}

/// Sets p and q from n, e and d. As e*d - 1 is a multiple of (p-1)(q-1) divided
/// by g, a common divisor of p-1 and q-1, and (p-1)(q-1) is n but for the lower
/// half of its bits, the multiple is (e*d - 1) * g / n rounded up.
bool factor(parts& key, BN_CTX* scratch) {
  const auto product = number{BN_new()};
  const auto scaled = number{BN_new()};
  const auto multiple = number{BN_new()};
  const auto rest = number{BN_new()};
  if (!product || !scaled || !multiple || !rest || BN_is_zero(key.n.get())
      || BN_mul(product.get(), key.e.get(), key.d.get(), scratch) != 1
      || BN_sub_word(product.get(), 1) != 1 || BN_is_negative(product.get()))
    return false;
  for (BN_ULONG g = 1; g <= divisor_max; g += g == 1 ? 1 : 2) {
    if (BN_copy(scaled.get(), product.get()) == nullptr
        || BN_mul_word(scaled.get(), g) != 1
        || BN_div(multiple.get(), nullptr, scaled.get(), key.n.get(), scratch)
          != 1
        || BN_add_word(multiple.get(), 1) != 1
        || BN_div(scaled.get(), rest.get(), scaled.get(), multiple.get(),
                  scratch)
          != 1)
      return false;
    if (BN_is_zero(rest.get()) && split(key, scaled.get(), scratch))
      return true;
  }
  return false;
}

/// Sets what the Chinese remainder theorem takes from d, p and q.
bool prepare(parts& key, BN_CTX* scratch) {
  const auto less = number{BN_new()};
  return less && BN_sub(less.get(), key.p.get(), BN_value_one()) == 1
    && BN_mod(key.dp.get(), key.d.get(), less.get(), scratch) == 1
    && BN_sub(less.get(), key.q.get(), BN_value_one()) == 1
    && BN_mod(key.dq.get(), key.d.get(), less.get(), scratch) == 1
    && BN_mod_inverse(key.inverse.get(), key.q.get(), key.p.get(), scratch)
    != nullptr;
}

/// Gives the numbers to `target`, all or none that matter.
bool hand_over(RSA* target, parts& key) {
  if (RSA_set0_key(target, key.n.get(), key.e.get(), key.d.get()) != 1)
    return false;
  key.n.release();
  key.e.release();
  key.d.release();
  if (RSA_set0_factors(target, key.p.get(), key.q.get()) != 1)
    return false;
  key.p.release();
  key.q.release();
  if (RSA_set0_crt_params(target, key.dp.get(), key.dq.get(), key.inverse.get())
      != 1)
    return false;
  key.dp.release();
  key.dq.release();
  key.inverse.release();
  return true;
}

bool copy_number(number& target, const BIGNUM* source) {
  return source != nullptr && BN_copy(target.get(), source) != nullptr;
}

rsa_ptr assemble(parts& key) {
  auto result = make_plain_rsa();
  if (!result || !hand_over(result.get(), key))
    return nullptr;
  return result;
}

rsa_ptr find_factors(const RSA& key, BN_CTX* scratch) {
  auto found = parts{};
  if (!found.complete() || !copy_number(found.n, RSA_get0_n(&key))
      || !copy_number(found.e, RSA_get0_e(&key))
      || !copy_number(found.d, RSA_get0_d(&key)) || !factor(found, scratch)
      || !prepare(found, scratch))
    return nullptr;
  return assemble(found);
}

bool same_number(const BIGNUM* left, const BIGNUM* right) noexcept {
  return left != nullptr && right != nullptr && BN_cmp(left, right) == 0;
}

} // namespace

void free_rsa::operator()(RSA* key) const noexcept {
  RSA_free(key);
}

rsa_ptr make_plain_rsa() {
  auto result = rsa_ptr{RSA_new()};
  if (result && RSA_set_method(result.get(), RSA_PKCS1_OpenSSL()) != 1)
    return nullptr;
  return result;
}

rsa_ptr with_factors(const RSA& key) {
  const auto scratch = scratch_space{BN_CTX_new()};
  if (!scratch)
    return nullptr;
  // No factors is no failure, and nobody would take these errors off the queue.
  ERR_set_mark();
  auto result = find_factors(key, scratch.get());
  ERR_pop_to_mark();
  return result;
}

rsa_ptr from_factors(const BIGNUM& p, const BIGNUM& q) {
  const auto scratch = scratch_space{BN_CTX_new()};
  const auto totient = number{BN_new()};
  auto key = parts{};
  if (!scratch || !totient || !key.complete() || !copy_number(key.p, &p)
      || !copy_number(key.q, &q) || BN_set_word(key.e.get(), RSA_F4) != 1
      || BN_mul(key.n.get(), &p, &q, scratch.get()) != 1
      || BN_sub(totient.get(), key.n.get(), &p) != 1
      || BN_sub(totient.get(), totient.get(), &q) != 1
      || BN_add_word(totient.get(), 1) != 1
      || BN_mod_inverse(key.d.get(), key.e.get(), totient.get(), scratch.get())
        == nullptr
      || !prepare(key, scratch.get()))
    return nullptr;
  return assemble(key);
}

bool copy_key(RSA& target, const RSA& source) {
  auto copy = parts{};
  return copy.complete() && copy_number(copy.n, RSA_get0_n(&source))
    && copy_number(copy.e, RSA_get0_e(&source))
    && copy_number(copy.d, RSA_get0_d(&source))
    && copy_number(copy.p, RSA_get0_p(&source))
    && copy_number(copy.q, RSA_get0_q(&source))
    && copy_number(copy.dp, RSA_get0_dmp1(&source))
    && copy_number(copy.dq, RSA_get0_dmq1(&source))
    && copy_number(copy.inverse, RSA_get0_iqmp(&source))
    && hand_over(&target, copy);
}

bool same_key(const RSA& left, const RSA& right) noexcept {
  return same_number(RSA_get0_n(&left), RSA_get0_n(&right))
    && same_number(RSA_get0_e(&left), RSA_get0_e(&right))
    && same_number(RSA_get0_d(&left), RSA_get0_d(&right));
}

} // namespace vtpm::tpm
