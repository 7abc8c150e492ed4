#include "deploy/bench/packet.hpp"

#include <doctest/doctest.h>

#include "deploy/bench/tpm12_commands.hpp"
#include "deploy/bench/tpm20_commands.hpp"
#include "protocol/tpm_header.hpp"

using namespace vtpm;
using namespace vtpm::deploy;

namespace {

/// A response that reports success, with two octets behind the header.
const byte_vector success = {
  0x00, 0xC4,             // tag: TPM_TAG_RSP_COMMAND
  0x00, 0x00, 0x00, 0x0C, // size
  0x00, 0x00, 0x00, 0x00, // returnCode: TPM_SUCCESS
  0xAB, 0xCD,             // anything
};

void check_command(tpm_version version, const byte_vector& command) {
  CAPTURE(version == tpm_version::v1_2);
  CHECK(protocol::tpm_header::decode_command(version, command));
}

} // namespace

TEST_SUITE("deploy/bench/packet") {
  TEST_CASE("a packet is its header and its fields, big-endian") {
    const auto command = packet{0x8001, 0x17B}
                           .put(std::uint16_t{0x0102})
                           .put_sized(byte_vector{0xEE})
                           .zeros(2)
                           .finish();
    CHECK(command
          == byte_vector{
            0x80, 0x01,             // tag
            0x00, 0x00, 0x00, 0x11, // size
            0x00, 0x00, 0x01, 0x7B, // code
            0x01, 0x02,             // an integer
            0x00, 0x01, 0xEE,       // a size and an octet
            0x00, 0x00,             // zeros
          });
  }

  TEST_CASE("a part is within the response or there is none") {
    for (std::size_t offset = 0; offset <= success.size() + 1; ++offset)
      for (std::size_t count = 0; count <= success.size() + 1; ++count) {
        const auto part = part_of(success, offset, count, "x");
        CHECK(static_cast<bool>(part) == (offset + count <= success.size()));
      }
    CHECK_FALSE(part_of(success, 1, SIZE_MAX, "x"));
  }

  TEST_CASE("only a whole response without an error is a success") {
    CHECK(expect_success(success, "x"));
    for (std::size_t size = 0; size < success.size(); ++size)
      CHECK_FALSE(expect_success(byte_view{success}.first(size), "x"));
    auto failure = success;
    failure[9] = 0x18;
    const auto found = expect_success(failure, "TPM_x");
    REQUIRE_FALSE(found);
    CHECK(found.error().text == "TPM_x failed with 0x18");
  }

  TEST_CASE("every command is one command of its version") {
    using namespace tpm20;
    for (const auto& command :
         {pcr_read(), pcr_extend(), tpm20::get_random(), tpm20::nv_define(),
          tpm20::nv_write(1), tpm20::nv_read(), flush(0x80000000),
          create_primary(key_kind::rsa_signing),
          create_primary(key_kind::ecc_signing),
          create(0x80000000, key_kind::ecc_storage), sign(0x80000000),
          quote(0x80000000)})
      check_command(tpm_version::v2_0, command);
    for (const auto& command :
         {tpm12::pcr_read(), tpm12::extend(), tpm12::get_random(),
          tpm12::nv_define(), tpm12::nv_read()})
      check_command(tpm_version::v1_2, command);
  }

  TEST_CASE("writes of different values are different writes") {
    CHECK(tpm20::nv_write(1) != tpm20::nv_write(2));
    CHECK(tpm20::nv_write(1).size() == tpm20::nv_write(~0ULL).size());
  }
}
