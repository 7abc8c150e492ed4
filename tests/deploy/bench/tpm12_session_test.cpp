#include "deploy/bench/tpm12_session.hpp"

#include <algorithm>

#include <doctest/doctest.h>

#include "deploy/bench/tpm12_commands.hpp"
#include "deploy/front/front_options.hpp"

using namespace vtpm;
using namespace vtpm::deploy;
using namespace vtpm::deploy::tpm12;

namespace {

constexpr std::uint16_t tag_rsp_command = 0x00C4;
constexpr std::uint32_t handle = 0x01020304;

digest counting_from(std::uint8_t first) {
  digest octets;
  std::generate(octets.begin(), octets.end(), [&first] { return first++; });
  return octets;
}

/// A TPM that opens sessions with known nonces.
result<byte_vector> open_session(byte_view command) {
  constexpr std::uint8_t ord_osap = 0x0B;
  packet response{tag_rsp_command, 0};
  response.put(handle).put(counting_from(0xA0));
  if (command[9] == ord_osap)
    response.put(counting_from(0xC0));
  return response.finish();
}

std::string hmac_in(const byte_vector& command) {
  return to_hex(byte_view{command}.last(sizeof(digest)));
}

} // namespace

TEST_SUITE("deploy/bench/tpm12_session") {
  // The expected values are Python's:
  //   hmac.new(key, sha1(ordinal + parameters) + nonceEven + nonceOdd
  //            + b'\1', sha1)
  TEST_CASE("an OIAP authorization is keyed with the secret") {
    const auto opened = session::open_oiap(open_session, counting_from(0));
    REQUIRE(opened);
    CHECK(hmac_in(nv_write(*opened, 7))
          == "62c800707e3feae9b67dc109b14cbe01c955a754");
  }

  TEST_CASE("an OSAP authorization is keyed with what both have added") {
    const auto opened
      = session::open_osap(open_session, 1, 0x40000000, counting_from(0));
    REQUIRE(opened);
    CHECK(hmac_in(nv_write(*opened, 7))
          == "33e51db1039ecb81cd560356ed3555c9102f513f");
  }

  TEST_CASE("every authorization goes with the TPM's last nonce") {
    auto opened = session::open_oiap(open_session, counting_from(0));
    REQUIRE(opened);
    const auto before = nv_write(*opened, 7);
    CHECK(nv_write(*opened, 7) == before);
    const auto response = packet{tag_rsp_command, 0}
                            .put(counting_from(0x55))
                            .zeros(1 + sizeof(digest))
                            .finish();
    CHECK(opened->roll(response));
    CHECK(nv_write(*opened, 7) != before);
    for (std::size_t size = 0; size < response.size(); ++size)
      CHECK_FALSE(opened->roll(byte_view{response}.first(size)));
  }

  TEST_CASE("a TPM that refuses, or says too little, opens no session") {
    const auto refusing = [](byte_view) -> result<byte_vector> {
      return packet{tag_rsp_command, 0x15}.finish();
    };
    CHECK_FALSE(session::open_oiap(refusing, {}));
    const auto full = open_session(byte_vector(10));
    REQUIRE(full);
    for (auto size = 10U; size < full->size(); ++size) {
      const auto brief = [&, size](byte_view) -> result<byte_vector> {
        return packet{tag_rsp_command, 0}.zeros(size - 10).finish();
      };
      CHECK_FALSE(session::open_oiap(brief, {}));
    }
  }
}
