// Goal: a TPM that leaves the factory is ready to use, and no more open than
// it was asked to be.
// Method: switch it on and read its flags, keys and banks by its own commands.

#include "tests/tpm/engine_fixture.hpp"

using namespace vtpm;
using namespace vtpm::tests;
using tpm::errc;
using tpm::manufacture_libtpms;

namespace {

/// TPM_CAP_FLAG_PERMANENT and TPM_CAP_FLAG_VOLATILE.
const auto permanent_flags = tpm12("00000065 00000004 00000004 00000108");
const auto stclear_flags = tpm12("00000065 00000004 00000004 00000109");

const auto presence_command_enable = tpm12("4000000a 0020");
const auto presence_present = tpm12("4000000a 0008");

/// TPM_ReadPubek.
const auto read_pubek
  = tpm12("0000007c 0000000000000000000000000000000000000000");

/// TPM2_GetCapability(TPM_CAP_PCRS).
const auto pcr_banks = tpm20("0000017a 00000005 00000000 00000001");

/// Positions in TPM_PERMANENT_FLAGS after its tag (TPM Main Part 2, 7.1).
enum permanent_flag : std::size_t {
  disable = 0,
  ownership = 1,
  deactivated = 2,
  read_pubek_allowed = 3,
  presence_lifetime_lock = 6,
  presence_hw_enable = 7,
  presence_cmd_enable = 8,
  nv_locked = 15,
};

/// Reads the permanent flags, without header, size and tag.
byte_vector flags_of(powered_tpm& tpm) {
  REQUIRE(tpm.run(permanent_flags) == 0);
  constexpr auto start = 10 + 4 + 2;
  REQUIRE(tpm.response.size() == start + 20);
  return {tpm.response.begin() + start, tpm.response.end()};
}

tpm::manufacture_options with_banks(std::vector<std::string> names) {
  auto options = tpm::manufacture_options{};
  options.pcr_banks = std::move(names);
  return options;
}

} // namespace

TEST_SUITE("tpm/libtpms_manufacture") {
  TEST_CASE("a new TPM 1.2 is enabled, active, ownable and locked") {
    auto tpm = powered_tpm{tpm_version::v1_2};
    CHECK(factory_state(tpm_version::v1_2)->savestate.empty());
    const auto flags = flags_of(tpm);
    CHECK(flags[disable] == 0);
    CHECK(flags[ownership] == 1);
    CHECK(flags[deactivated] == 0);
    CHECK(flags[read_pubek_allowed] == 1);
    CHECK(flags[presence_lifetime_lock] == 1);
    CHECK(flags[presence_hw_enable] == 1);
    CHECK(flags[presence_cmd_enable] == 0);
    CHECK(flags[nv_locked] == 1);

    // TPM_STCLEAR_FLAGS: deactivated, disableForceClear, physicalPresence,
    // physicalPresenceLock, bGlobalLock.
    REQUIRE(tpm.run(stclear_flags) == 0);
    CHECK(body_of(tpm.response)
          == "00000007"
             "0020"
             "0000000000");

    SUBCASE("and has an endorsement key") {
      REQUIRE(tpm.run(read_pubek) == 0);
      // TPM_PUBKEY: RSA, OAEP, no signature scheme, 2048 bits, two primes,
      // default exponent, 256 octets; then those and a checksum.
      CHECK(body_of(tpm.response).substr(0, 56)
            == "00000001"
               "0003"
               "0001"
               "0000000c"
               "00000800"
               "00000002"
               "00000000"
               "00000100");
      CHECK(tpm.response.size() == 10 + 28 + 256 + 20);
    }
    SUBCASE("and software cannot claim physical presence") {
      CHECK(tpm.run(presence_command_enable) != 0);
      CHECK(tpm.run(presence_present) != 0);
    }
  }

  TEST_CASE("two new TPMs have different endorsement keys") {
    auto first = powered_tpm{tpm_version::v1_2};
    REQUIRE(first.run(read_pubek) == 0);
    const auto key = first.response;
    first = powered_tpm{};
    const auto other = manufacture_libtpms(tpm_version::v1_2, {});
    REQUIRE(other);
    auto second = powered_tpm{tpm_version::v1_2, *other};
    REQUIRE(second.run(read_pubek) == 0);
    CHECK(second.response != key);
  }

  TEST_CASE("physical presence can be left to a TPM 1.2's software") {
    auto options = tpm::manufacture_options{};
    options.physical_presence = true;
    const auto state = manufacture_libtpms(tpm_version::v1_2, options);
    REQUIRE(state);
    auto tpm = powered_tpm{tpm_version::v1_2, *state};
    const auto flags = flags_of(tpm);
    CHECK(flags[presence_lifetime_lock] == 0);
    CHECK(flags[presence_cmd_enable] == 1);
    CHECK(tpm.run(presence_present) == 0);
  }

  TEST_CASE("a new TPM 2.0 has exactly the PCR banks asked for") {
    // TPML_PCR_SELECTION of sha1, sha256, sha384 and sha512, select by select.
    const auto expect = [](const char* sha1, const char* sha256,
                           const char* sha384, const char* sha512) {
      return std::string{"00"
                         "00000005"
                         "00000004"
                         "000403"}
      + sha1 + "000b03" + sha256 + "000c03" + sha384 + "000d03" + sha512;
    };
    constexpr auto all = "ffffff";
    constexpr auto none = "000000";
    auto banks = std::vector<std::string>{};
    auto expected = std::string{};
    SUBCASE("the default ones") {
      banks = tpm::manufacture_options{}.pcr_banks;
      expected = expect(all, all, none, none);
    }
    SUBCASE("one") {
      banks = {"sha256"};
      expected = expect(none, all, none, none);
    }
    SUBCASE("one twice") {
      banks = {"sha1", "sha1"};
      expected = expect(all, none, none, none);
    }
    SUBCASE("all") {
      banks = {"sha512", "sha384", "sha256", "sha1"};
      expected = expect(all, all, all, all);
    }
    const auto state
      = manufacture_libtpms(tpm_version::v2_0, with_banks(banks));
    REQUIRE(state);
    auto tpm = powered_tpm{tpm_version::v2_0, *state};
    REQUIRE(tpm.run(pcr_banks) == 0);
    CHECK(body_of(tpm.response) == expected);
  }

  TEST_CASE("an unknown PCR bank is named, and none at all is refused") {
    const auto unknown
      = manufacture_libtpms(tpm_version::v2_0, with_banks({"sha1", "md5"}));
    REQUIRE(!unknown);
    CHECK(unknown.error().code == errc::unusable);
    CHECK(unknown.error().detail.find("md5") != std::string::npos);
    const auto empty = manufacture_libtpms(tpm_version::v2_0, with_banks({}));
    REQUIRE(!empty);
    CHECK(empty.error().code == errc::unusable);
  }
}
