// Goal: a TPM goes on in another process where it was in the last one.
// Method: switch a TPM off without a word, switch it on again from what it
// would have left in the shadow, and use what a reset loses.

#include <memory>
#include <string>
#include <utility>

#include "tests/tpm/engine_commands.hpp"
#include "tests/tpm/engine_fixture.hpp"

using namespace vtpm;
using namespace vtpm::tests;

namespace {

/// What a crash leaves, in the shadow.
struct remains {
  tpm_version version;
  tpm::snapshot_ptr state;
  tpm::secret_bytes octets;
};

remains what_is_left(powered_tpm& tpm) {
  auto octets = tpm->volatile_state();
  REQUIRE(octets);
  return {tpm->version(), tpm->current(), *std::move(octets)};
}

/// Goes on from `what`; no other TPM may be on.
std::unique_ptr<tpm::engine> go_on(const remains& what) {
  auto resumed = tpm::resume_libtpms(what.version, what.state, what.octets);
  REQUIRE_MESSAGE(resumed, (resumed ? "" : resumed.error().detail));
  return std::move(resumed->instance);
}

byte_vector run(tpm::engine& engine, const byte_vector& request) {
  return engine.execute(0, request).response;
}

/// TPM2_StartAuthSession: an HMAC session, neither salted nor bound.
const auto start_session
  = tpm20("00000176 40000007 40000007"
          "0010 00112233445566778899aabbccddeeff 0000 00 0010 000b");

/// TPM2_CreatePrimary in the owner's hierarchy: an ECDSA P-256 key.
const auto create_primary
  = tpm20_auth("00000131 40000001",
               "0004 0000 0000"
               "0018 0023 000b 00040072 0000 0010 0018 000b 0003 0010"
               "0000 0000 0000 00000000");

/// TPM2_HashSequenceStart without a password, for SHA-256.
const auto start_sequence = tpm20("00000186 0000 000b");

/// TPM_OIAP, and TPM_FlushSpecific for an authorization session.
const auto oiap = tpm12("0000000a");

/// Returns the handle that a response starts with.
std::string handle_in(const byte_vector& response) {
  REQUIRE(code_of(response) == 0);
  return body_of(response).substr(0, 8);
}

} // namespace

TEST_SUITE("tpm/libtpms_resume") {
  TEST_CASE("PCRs of a TPM 1.2 survive, and it needs no Startup") {
    auto tpm = powered_tpm{tpm_version::v1_2};
    CHECK(tpm.run(extend_1_2) == 0);
    CHECK(tpm.run(extend_1_2) == 0);
    CHECK(tpm.run(read_pcr_1_2) == 0);
    const auto extended = tpm.response;
    const auto left = what_is_left(tpm);
    tpm = {};

    const auto engine = go_on(left);
    CHECK(run(*engine, read_pcr_1_2) == extended);
  }

  TEST_CASE("PCRs of a TPM 2.0 survive, and it needs no Startup") {
    auto tpm = powered_tpm{tpm_version::v2_0};
    CHECK(tpm.run(extend_2_0) == 0);
    CHECK(tpm.run(extend_2_0) == 0);
    CHECK(tpm.run(read_pcr_2_0) == 0);
    const auto extended = tpm.response;
    const auto left = what_is_left(tpm);
    tpm = {};

    const auto engine = go_on(left);
    CHECK(run(*engine, read_pcr_2_0) == extended);
  }

  TEST_CASE("a session of a TPM 1.2 survives") {
    auto tpm = powered_tpm{tpm_version::v1_2};
    CHECK(tpm.run(oiap) == 0);
    const auto handle = handle_in(tpm.response);
    const auto left = what_is_left(tpm);
    tpm = {};

    const auto flush = tpm12("000000ba" + handle + "00000002");
    auto engine = go_on(left);
    CHECK(code_of(run(*engine, flush)) == 0);
    CHECK(code_of(run(*engine, flush)) != 0);
  }

  TEST_CASE("sessions, keys and sequences of a TPM 2.0 survive") {
    auto tpm = powered_tpm{tpm_version::v2_0};
    CHECK(tpm.run(start_session) == 0);
    const auto session = handle_in(tpm.response);
    CHECK(tpm.run(create_primary) == 0);
    const auto key = handle_in(tpm.response);
    CHECK(tpm.run(start_sequence) == 0);
    const auto sequence = handle_in(tpm.response);
    const auto left = what_is_left(tpm);
    tpm = {};

    auto engine = go_on(left);
    CHECK(code_of(run(*engine, tpm20("00000173" + key))) == 0);
    for (const auto& handle : {session, key, sequence}) {
      CAPTURE(handle);
      CHECK(code_of(run(*engine, tpm20("00000165" + handle))) == 0);
      CHECK(code_of(run(*engine, tpm20("00000165" + handle))) != 0);
    }
  }

  TEST_CASE("two continuations of one state draw different random octets") {
    auto tpm = powered_tpm{tpm_version::v2_0};
    const auto left = what_is_left(tpm);
    tpm = {};

    const auto first = run(*go_on(left), get_random_2_0);
    const auto second = run(*go_on(left), get_random_2_0);
    CHECK(code_of(first) == 0);
    CHECK(code_of(second) == 0);
    CHECK(first != second);
  }

  TEST_CASE("a TPM that was shut down is not shut down again") {
    // A second Shutdown, with CLEAR, would throw the guest's saved state away.
    auto tpm = powered_tpm{tpm_version::v2_0};
    CHECK(tpm.run(extend_2_0) == 0);
    CHECK(tpm.run(read_pcr_2_0) == 0);
    const auto extended = body_of(tpm.response).substr(8);
    CHECK(tpm.run(shutdown_state) == 0);
    const auto left = what_is_left(tpm);
    tpm = {};

    auto engine = go_on(left);
    REQUIRE(engine->reset(tpm::startup::state));
    CHECK(body_of(run(*engine, read_pcr_2_0)).substr(8) == extended);
  }

  TEST_CASE("a saved state of a TPM 1.2 outlives the continuation") {
    auto tpm = powered_tpm{tpm_version::v1_2};
    CHECK(tpm.run(save_state) == 0);
    const auto left = what_is_left(tpm);
    tpm = {};

    auto engine = go_on(left);
    CHECK(!engine->current()->savestate.empty());
  }

  TEST_CASE("a TPM that still waits for Startup goes on waiting") {
    auto tpm = powered_tpm{tpm_version::v1_2, tpm::startup::none};
    const auto left = what_is_left(tpm);
    tpm = {};

    auto engine = go_on(left);
    CHECK(code_of(run(*engine, read_pcr_1_2)) != 0);
    CHECK(code_of(run(*engine, startup_1_2)) == 0);
    CHECK(code_of(run(*engine, read_pcr_1_2)) == 0);
  }

  TEST_CASE("what is no volatile state is refused, and leaves no TPM behind") {
    const auto version = tpm_version::v2_0;
    const auto state = factory_state(version);
    const auto refused = [&](const byte_vector& octets) {
      auto resumed = tpm::resume_libtpms(version, state, octets);
      return !resumed && resumed.error().code == tpm::errc::engine;
    };
    CHECK(refused({}));
    CHECK(refused({0}));
    CHECK(refused({1, 2, 3, 0}));
    CHECK(refused({1, 2, 3, 7}));
    CHECK(powered_tpm{version}.run(get_random_2_0) == 0);
  }
}
