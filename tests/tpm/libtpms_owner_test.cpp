// Goal: a new TPM 1.2 can be owned, and given back, without physical presence.
// Method: what a software stack does, with the well-known secret: the owner's
// secrets under the endorsement key, then one OIAP session per command (TPM
// Main Part 1, 13; Part 3, 6).

#include "tests/tpm/owner_commands.hpp"

using namespace vtpm;
using namespace vtpm::tests;

namespace {

const auto get_owner = tpm12("00000065 00000005 00000004 00000111");

bool owned(powered_tpm& tpm) {
  REQUIRE(tpm.run(get_owner) == 0);
  return body_of(tpm.response) == "0000000101";
}

} // namespace

TEST_SUITE("tpm/libtpms_owner") {
  TEST_CASE("a new TPM 1.2 can be owned and cleared by its owner") {
    auto tpm = powered_tpm{tpm_version::v1_2};
    CHECK(!owned(tpm));
    CHECK(take_ownership(tpm) == 0);
    CHECK(tpm.changed != nullptr);
    CHECK(owned(tpm));

    REQUIRE(tpm->reset(tpm::startup::clear));
    CHECK(owned(tpm));
    CHECK_MESSAGE(run_authorized(tpm, "0000005b", "", "") == 0,
                  "TPM_OwnerClear");
    CHECK(!owned(tpm));
  }
}
