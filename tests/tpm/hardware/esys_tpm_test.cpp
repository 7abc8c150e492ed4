// Goal: what `hardware_tpm` promises, from a TPM and not from a double.
// Method: swtpm, which is killed, replaced, and turned off and on.

#include "tpm/hardware/esys_tpm.hpp"

#include <algorithm>

#include <doctest/doctest.h>

#include "tests/tpm/hardware/machine.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::machine;
using vtpm::tests::must;

namespace {

const auto secret = secret_bytes(64, 0x42);

/// Returns how many sessions and transient objects are in a TPM.
std::size_t loaded_in(const machine& m) {
  TSS2_TCTI_CONTEXT* tcti = nullptr;
  REQUIRE(Tss2_TctiLdr_Initialize(m.swtpm.tcti().c_str(), &tcti)
          == TSS2_RC_SUCCESS);
  ESYS_CONTEXT* context = nullptr;
  REQUIRE(Esys_Initialize(&context, tcti, nullptr) == TSS2_RC_SUCCESS);
  auto count = std::size_t{0};
  for (const auto first : {TPM2_TRANSIENT_FIRST, TPM2_LOADED_SESSION_FIRST}) {
    TPMS_CAPABILITY_DATA* data = nullptr;
    REQUIRE(Esys_GetCapability(context, ESYS_TR_NONE, ESYS_TR_NONE,
                               ESYS_TR_NONE, TPM2_CAP_HANDLES, first, 64,
                               nullptr, &data)
            == TSS2_RC_SUCCESS);
    count += data->data.handles.count;
    Esys_Free(data);
  }
  Esys_Finalize(&context);
  Tss2_TctiLdr_Finalize(&tcti);
  return count;
}

nv_counter counter_of(counter_kind kind) {
  return {0x01B07001, kind, secret_bytes(32, 0x17)};
}

seal_policy pcrs_of(const char* text) {
  return {*parse_pcr_selection(text), {}};
}

} // namespace

TEST_SUITE("tpm/hardware/esys_tpm") {
  TEST_CASE("a TPM says what it is") {
    machine m;
    const auto status = m.tpm->status();
    REQUIRE(status);
    CHECK(status->manufacturer == "IBM");
    CHECK(std::ranges::count(status->banks, pcr_bank::sha256) == 1);
    m.reboot(true);
    CHECK(must(m.tpm->status()).resets == status->resets + 1);
    CHECK(must(m.tpm->status()).orderly);
    m.reboot(false);
    CHECK(must(m.tpm->status()).resets == status->resets + 2);
    CHECK_FALSE(must(m.tpm->status()).orderly);
  }

  TEST_CASE("registers are read and extended, bank by bank") {
    machine m;
    const auto status = must(m.tpm->status());
    for (const auto bank : status.banks) {
      CAPTURE(to_string(bank));
      const auto before = must(m.tpm->read_pcr(bank, 16));
      CHECK(before == byte_vector(digest_size(bank)));
      REQUIRE(m.tpm->extend_pcr(bank, 16, byte_vector(digest_size(bank), 1)));
      CHECK(must(m.tpm->read_pcr(bank, 16)) != before);
      CHECK(must(m.tpm->read_pcr(bank, 15)) == before);
    }
    const auto none = m.tpm->read_pcr(pcr_bank{0x0012}, 0); // SM3-256
    REQUIRE_FALSE(none);
    CHECK(none.error().code == errc::not_found);
  }

  TEST_CASE("random octets come as many as are asked for") {
    machine m;
    auto first = byte_vector(100);
    auto second = byte_vector(100);
    REQUIRE(m.tpm->random(first));
    REQUIRE(m.tpm->random(second));
    CHECK(first != second);
    CHECK(std::ranges::count(first, 0) < 50);
  }

  TEST_CASE("what was sealed opens while the registers are the same") {
    machine m;
    const auto policy = pcrs_of("sha256:0,2,4,7");
    m.extend(4);
    const auto sealed = m.tpm->seal(secret, policy);
    REQUIRE(sealed);
    CHECK(must(m.tpm->unseal(*sealed, policy, {})) == secret);
    m.extend(5);
    CHECK(must(m.tpm->unseal(*sealed, policy, {})) == secret);
    m.extend(4);
    const auto refused = m.tpm->unseal(*sealed, policy, {});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::policy);
    CHECK(refused.error().detail.find("sha256:0,2,4,7") != std::string::npos);
    m.reboot(true);
    CHECK_FALSE(m.tpm->unseal(*sealed, policy, {}));
    m.extend(4);
    CHECK(must(m.tpm->unseal(*sealed, policy, {})) == secret);
    // Other registers with the same values are another policy.
    const auto other = m.tpm->unseal(*sealed, pcrs_of("sha256:0,2,4"), {});
    REQUIRE_FALSE(other);
    CHECK(other.error().code == errc::policy);
  }

  TEST_CASE("another TPM opens nothing, nor does anything that was changed") {
    machine m;
    const auto policy = pcrs_of("sha256:7");
    const auto sealed = must(m.tpm->seal(secret, policy));
    for (const auto i : {2u, 20u, 60u}) {
      auto changed = sealed;
      changed.private_part[i] ^= 1;
      const auto refused = m.tpm->unseal(changed, policy, {});
      REQUIRE_FALSE(refused);
      CHECK(refused.error().code == errc::wrong_key);
      changed = sealed;
      changed.public_part[i % changed.public_part.size()] ^= 1;
      CHECK_FALSE(m.tpm->unseal(changed, policy, {}));
    }
    for (const auto size : {0u, 1u, 50u}) {
      auto cut = sealed;
      cut.private_part.resize(size);
      CHECK_FALSE(m.tpm->unseal(cut, policy, {}));
    }
    m.tpm.reset();
    m.swtpm.replace();
    m.connect();
    const auto refused = m.tpm->unseal(sealed, policy, {});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::wrong_key);
  }

  TEST_CASE("what the registers would come to is known in advance") {
    machine m;
    const auto pcrs = *parse_pcr_selection("sha256:8,9");
    m.extend(8);
    m.extend(9);
    auto values = must(m.tpm->read_pcr(pcr_bank::sha256, 8));
    const auto ninth = must(m.tpm->read_pcr(pcr_bank::sha256, 9));
    values.insert(values.end(), ninth.begin(), ninth.end());
    m.reboot(true);
    const auto foretold = must(m.tpm->pcr_policy(pcrs, values));
    CHECK(foretold != must(m.tpm->pcr_policy(pcrs)));
    m.extend(8);
    m.extend(9);
    CHECK(foretold == must(m.tpm->pcr_policy(pcrs)));
  }

  TEST_CASE("a counter goes up by one, and only for who knows its secret") {
    for (const auto kind : {counter_kind::strict, counter_kind::orderly}) {
      machine m;
      const auto counter = counter_of(kind);
      CHECK(m.tpm->read_counter(counter).error().code == errc::not_found);
      const auto first = m.tpm->define_counter(counter);
      REQUIRE(first);
      CHECK(first->window == (kind == counter_kind::strict ? 0 : 255));
      CHECK(must(m.tpm->read_counter(counter)).value == first->value);
      CHECK(must(m.tpm->increment_counter(counter)).value == first->value + 1);
      CHECK(must(m.tpm->read_counter(counter)).value == first->value + 1);
      CHECK(m.tpm->define_counter(counter).error().code == errc::exists);
      auto stranger = counter;
      stranger.auth[0] ^= 1;
      CHECK(m.tpm->read_counter(stranger).error().code == errc::wrong_key);
      CHECK(m.tpm->increment_counter(stranger).error().code == errc::wrong_key);
      stranger = counter;
      stranger.kind = kind == counter_kind::strict ? counter_kind::orderly
                                                   : counter_kind::strict;
      CHECK(m.tpm->read_counter(stranger).error().code == errc::not_found);
      CHECK(must(m.tpm->read_counter(counter)).value == first->value + 1);
    }
  }

  TEST_CASE("a counter that is made again starts above what it was") {
    machine m;
    const auto counter = counter_of(counter_kind::strict);
    REQUIRE(m.tpm->define_counter(counter));
    for (auto i = 0; i < 5; ++i)
      REQUIRE(m.tpm->increment_counter(counter));
    const auto last = must(m.tpm->read_counter(counter)).value;
    REQUIRE(m.tpm->remove_counter(counter));
    CHECK(must(m.tpm->define_counter(counter)).value > last);
  }

  TEST_CASE("a strict counter keeps its value, however power goes") {
    machine m;
    const auto counter = counter_of(counter_kind::strict);
    const auto first = must(m.tpm->define_counter(counter)).value;
    REQUIRE(m.tpm->increment_counter(counter));
    m.reboot(false);
    CHECK(must(m.tpm->read_counter(counter)).value == first + 1);
    m.reboot(true);
    CHECK(must(m.tpm->read_counter(counter)).value == first + 1);
  }

  TEST_CASE("an orderly counter jumps to the end of its block, not in order") {
    machine m;
    const auto counter = counter_of(counter_kind::orderly);
    REQUIRE(m.tpm->define_counter(counter));
    for (auto i = 0; i < 5; ++i)
      REQUIRE(m.tpm->increment_counter(counter));
    const auto reached = must(m.tpm->read_counter(counter)).value;
    m.reboot(true);
    CHECK(must(m.tpm->read_counter(counter)).value == reached);
    REQUIRE(m.tpm->increment_counter(counter));
    m.reboot(false);
    const auto jumped = must(m.tpm->read_counter(counter)).value;
    CHECK(jumped == (reached | 255));
    m.reboot(false);
    CHECK(must(m.tpm->read_counter(counter)).value == jumped);
    // Into the next block and on, and a jump from there.
    for (auto i = 0; i < 3; ++i)
      REQUIRE(m.tpm->increment_counter(counter));
    m.reboot(false);
    CHECK(must(m.tpm->read_counter(counter)).value == jumped + 256);
  }

  TEST_CASE("nothing stays in the TPM, whether a call works or not") {
    machine m;
    const auto policy = pcrs_of("sha256:7");
    const auto sealed = must(m.tpm->seal(secret, policy));
    for (auto i = 0; i < 5; ++i) {
      REQUIRE(m.tpm->seal(secret, policy));
      REQUIRE(m.tpm->unseal(sealed, policy, {}));
    }
    m.extend(7);
    for (auto i = 0; i < 5; ++i)
      REQUIRE_FALSE(m.tpm->unseal(sealed, policy, {}));
    REQUIRE_FALSE(m.tpm->read_counter(counter_of(counter_kind::strict)));
    m.tpm.reset();
    CHECK(loaded_in(m) == 0);
  }

  TEST_CASE("a TPM that has gone is said, and used again when it is back") {
    machine m;
    REQUIRE(m.tpm->status());
    m.swtpm.cut_power();
    const auto refused = m.tpm->status();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::hardware);
    CHECK(refused.error().detail.find("hardware TPM") != std::string::npos);
    m.swtpm.turn_on();
    CHECK(m.tpm->status());
    // Back before anyone has noticed.
    m.swtpm.cut_power();
    m.swtpm.turn_on();
    CHECK(m.tpm->status());
    m.swtpm.cut_power();
    m.swtpm.turn_on();
    CHECK_FALSE(m.tpm->read_counter(counter_of(counter_kind::strict)));
    CHECK(m.tpm->status());
  }
}
