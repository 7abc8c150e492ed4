// Goal: what was sealed for an administrator's approvals opens with them, and
// with nothing else.

#include <doctest/doctest.h>

#include "tests/tpm/hardware/approver.hpp"
#include "tests/tpm/hardware/machine.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::approver;
using vtpm::tests::machine;
using vtpm::tests::must;

namespace {

const auto secret = secret_bytes(64, 0x42);
const auto pcrs = pcr_selection{pcr_bank::sha256, 0x95};

byte_vector values_after(machine& m, unsigned index) {
  m.extend(index);
  auto values = byte_vector{};
  for (auto i = 0u; i < pcr_count; ++i)
    if ((pcrs.mask >> i & 1) != 0) {
      const auto value = must(m.tpm->read_pcr(pcrs.bank, i));
      values.insert(values.end(), value.begin(), value.end());
    }
  return values;
}

} // namespace

TEST_SUITE("tpm/hardware/esys_tpm/approvals") {
  TEST_CASE("an upgrade that was approved in advance opens what was sealed") {
    for (auto* key : {EVP_EC_gen("P-256"), EVP_RSA_gen(2048u)}) {
      machine m;
      const approver administrator{key};
      const auto policy = seal_policy{pcrs, administrator.pem()};
      // The next version, as it will be measured.
      const auto next = values_after(m, 4);
      m.reboot(true);
      const auto sealed = m.tpm->seal(secret, policy);
      REQUIRE(sealed);
      auto approvals
        = std::vector{administrator.approve(must(m.tpm->pcr_policy(pcrs)))};
      CHECK(must(m.tpm->unseal(*sealed, policy, approvals)) == secret);
      approvals.push_back(
        administrator.approve(must(m.tpm->pcr_policy(pcrs, next))));
      m.reboot(true);
      CHECK(must(m.tpm->unseal(*sealed, policy, approvals)) == secret);
      m.extend(4);
      CHECK(must(m.tpm->unseal(*sealed, policy, approvals)) == secret);
      // The version after that nobody has approved.
      m.extend(4);
      const auto refused = m.tpm->unseal(*sealed, policy, approvals);
      REQUIRE_FALSE(refused);
      CHECK(refused.error().code == errc::policy);
      CHECK(refused.error().detail.find("approved") != std::string::npos);
    }
  }

  TEST_CASE("an approval is the approver's own, for these values, unchanged") {
    machine m;
    const approver administrator{EVP_EC_gen("P-256")};
    const approver stranger{EVP_EC_gen("P-256")};
    const auto policy = seal_policy{pcrs, administrator.pem()};
    const auto sealed = must(m.tpm->seal(secret, policy));
    const auto now = must(m.tpm->pcr_policy(pcrs));
    const auto good = administrator.approve(now);
    auto others = administrator.approve(byte_vector(32, 1));
    others.policy = now;
    auto changed = good;
    changed.signature.back() ^= 1;
    auto cut = good;
    cut.signature.resize(10);
    for (const auto& bad : {stranger.approve(now), others, changed, cut}) {
      CHECK_FALSE(m.tpm->unseal(sealed, policy, {{bad}}));
      // It does not stand in the way of a good one that comes before it.
      CHECK(m.tpm->unseal(sealed, policy, std::vector{good, bad}));
    }
    CHECK_FALSE(m.tpm->unseal(sealed, policy, {}));
    // Neither the stranger's key nor none at all opens it.
    const auto theirs = seal_policy{pcrs, stranger.pem()};
    const auto refused
      = m.tpm->unseal(sealed, theirs, std::vector{stranger.approve(now)});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::policy);
    CHECK(m.tpm->unseal(sealed, seal_policy{pcrs, {}}, {}).error().code
          == errc::policy);
  }

  TEST_CASE("registers of a bank that is not there bind nothing") {
    machine m;
    const auto none = pcr_selection{pcr_bank{0x0012}, 1};
    CHECK_FALSE(m.tpm->seal(secret, {none, {}}));
    CHECK_FALSE(
      m.tpm->seal(secret, {none, approver{EVP_EC_gen("P-256")}.pem()}));
    CHECK_FALSE(m.tpm->pcr_policy(none));
  }
}
