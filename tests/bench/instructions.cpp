// What instructions.py counts: commands to the engine, each some times over
// with callgrind counting. Without callgrind it only runs them.

#include <doctest/doctest.h>
#include <valgrind/callgrind.h>

#include "tests/tpm/engine_commands.hpp"
#include "tests/tpm/engine_fixture.hpp"

using namespace vtpm;
using namespace vtpm::tests;

namespace {

/// Enough for what happens only now and then not to matter.
constexpr auto rounds = 16;

template <class F>
void count(const char* name, F once) {
  once(); // the first time is another matter
  CALLGRIND_START_INSTRUMENTATION;
  CALLGRIND_ZERO_STATS;
  for (auto round = 0; round < rounds; ++round)
    once();
  CALLGRIND_DUMP_STATS_AT(name);
  CALLGRIND_STOP_INSTRUMENTATION;
}

void count_command(const char* name, powered_tpm& tpm,
                   const byte_vector& request) {
  count(name, [&] { REQUIRE(tpm.run(request) == 0); });
}

/// TPM2_CreatePrimary in the owner hierarchy of a signing key that is `type`;
/// the first gets handle 80000000, the second 80000001.
byte_vector create_signing_key(const std::string& type) {
  return tpm20_auth("00000131 40000001",
                    "0004 0000 0000 0016" + type + "0000 00000000");
}

/// TPM2_Sign of 32 octets by `scheme` with SHA-256.
byte_vector sign(const std::string& key, const std::string& scheme) {
  return tpm20_auth("0000015d" + key,
                    "0020" + std::string(64, '5') + scheme
                      + "000b 8024 40000007 0000");
}

} // namespace

TEST_SUITE("bench/instructions") {
  TEST_CASE("of a TPM 2.0") {
    auto tpm = powered_tpm{tpm_version::v2_0};
    count_command("2.0 get random", tpm, get_random_2_0);
    count_command("2.0 PCR read", tpm, read_pcr_2_0);
    count_command("2.0 PCR extend", tpm, extend_2_0);
    REQUIRE(run_twice_if_asked(tpm, define_nv_2_0) == 0);
    REQUIRE(run_twice_if_asked(tpm, write_nv_2_0) == 0);
    count_command("2.0 NV read", tpm, read_nv_2_0);
    REQUIRE(tpm.run(create_signing_key("0001 000b 00040472 0000"
                                       "0010 0010 0800 00000000 0000"))
            == 0);
    count_command("2.0 RSA-2048 sign", tpm, sign("80000000", "0014"));
    REQUIRE(tpm.run(create_signing_key("0023 000b 00040472 0000"
                                       "0010 0010 0003 0010 0000 0000"))
            == 0);
    count_command("2.0 ECC P-256 sign", tpm, sign("80000001", "0018"));
  }

  TEST_CASE("of a TPM 1.2") {
    const auto state = factory_state(tpm_version::v1_2);
    count("1.2 start", [&] {
      auto tpm = powered_tpm{tpm_version::v1_2, state};
    });
    auto tpm = powered_tpm{tpm_version::v1_2};
    count_command("1.2 get random", tpm, get_random_1_2);
    count_command("1.2 PCR read", tpm, read_pcr_1_2);
    count_command("1.2 extend", tpm, extend_1_2);
  }
}
