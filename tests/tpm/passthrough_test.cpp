#include "tpm/passthrough.hpp"

#include <algorithm>

#include <doctest/doctest.h>

#include "tests/tpm/hardware/hardware_double.hpp"

using namespace vtpm;
using namespace vtpm::protocol::manager;

namespace {

/// Has PCR n of SHA-1 filled with n, of SHA-256 with 0x80 + n.
struct scripted_hardware final : tests::hardware_double {
  tpm::result<byte_vector> read_pcr(tpm::pcr_bank bank,
                                    unsigned index) override {
    if (broken)
      return tpm::error{tpm::errc::hardware, "told to fail"};
    if (bank != tpm::pcr_bank::sha1 && bank != tpm::pcr_bank::sha256)
      return tpm::error{tpm::errc::not_found, "no such bank"};
    const auto first = bank == tpm::pcr_bank::sha1 ? 0u : 0x80u;
    return byte_vector(tpm::digest_size(bank),
                       static_cast<std::uint8_t>(first + index));
  }

  tpm::result<unit> extend_pcr(tpm::pcr_bank bank, unsigned index,
                               byte_view digest) override {
    CHECK(bank == tpm::pcr_bank::sha1);
    extended = index;
    CHECK(digest.size() == 20);
    return unit{};
  }

  bool broken = false;
  std::optional<unsigned> extended;
};

struct fixture {
  byte_vector ask(byte_view request, bool is_admin = false) {
    return with.answer(is_admin, request);
  }

  static code code_of(byte_view response) {
    return static_cast<code>(
      protocol::tpm_header::decode_response(response)->code);
  }

  std::shared_ptr<scripted_hardware> hardware
    = std::make_shared<scripted_hardware>();
  tpm::passthrough with{hardware};
  tpm::passthrough without{nullptr};
};

/// TPM2_PCR_Read of one PCR: count 1, SHA-256, three octets of PCRs.
byte_vector pcr_read_2_0(unsigned index, std::uint8_t bank = 0x0B) {
  byte_vector body = {0, 0, 0, 1, 0, bank, 3, 0, 0, 0};
  body[7 + index / 8] = static_cast<std::uint8_t>(1u << index % 8);
  return packet(tpm20_tag, tpm20_pcr_read, body);
}

byte_vector pcr_read_1_2(std::uint8_t index) {
  return packet(tpm12_tag, tpm12_pcr_read, byte_vector{0, 0, 0, index});
}

} // namespace

TEST_SUITE("tpm/passthrough") {
  TEST_CASE_FIXTURE(fixture, "a 1.2 command reads the bank SHA-1") {
    for (std::uint8_t i = 0; i < 24; ++i)
      CHECK(ask(pcr_read_1_2(i))
            == packet(tpm12_response_tag, 0, byte_vector(20, i)));
    CHECK(code_of(ask(pcr_read_1_2(24))) == code::bad_index);
    CHECK(code_of(ask(packet(tpm12_tag, tpm12_pcr_read, byte_vector(5))))
          == code::bad_param_size);
  }

  TEST_CASE_FIXTURE(fixture, "a 2.0 command reads the bank it names") {
    byte_vector body = {0, 0, 0, 0,                      // update counter
                        0, 0, 0, 1, 0, 0x0B, 3, 0, 2, 0, // PCR 9
                        0, 0, 0, 1, 0, 32};              // one digest
    body.insert(body.end(), 32, 0x89);
    CHECK(ask(pcr_read_2_0(9)) == packet(tpm20_tag, 0, body));
    CHECK(code_of(ask(pcr_read_2_0(9, 0x0C))) == code::bad_index);
    CHECK(code_of(ask(pcr_read_2_0(9, 0x0D))) == code::bad_index);
    CHECK(code_of(ask(pcr_read_2_0(9, 0x77))) == code::bad_parameter);
    SUBCASE("and only one register at a time") {
      auto two = pcr_read_2_0(9);
      two[10 + 7] = 1;
      CHECK(code_of(ask(two)) == code::bad_parameter);
      two[10 + 7] = two[10 + 8] = 0;
      CHECK(code_of(ask(two)) == code::bad_parameter);
    }
  }

  TEST_CASE_FIXTURE(fixture, "only administrators extend") {
    byte_vector body = {0, 0, 0, 17};
    body.resize(24, 0xEE);
    const auto request = packet(tpm12_tag, tpm12_extend, body);
    CHECK(code_of(ask(request)) == code::disabled_command);
    CHECK(!hardware->extended);
    CHECK(ask(request, true)
          == packet(tpm12_response_tag, 0, byte_vector(20, 17)));
    CHECK(hardware->extended == 17);
  }

  TEST_CASE_FIXTURE(fixture, "random octets need no hardware") {
    const auto request = get_random_request(16);
    for (auto* each : {&with, &without}) {
      const auto first = each->answer(false, request);
      REQUIRE(decode_random(first));
      CHECK(decode_random(first)->size() == 16);
      CHECK(first != each->answer(false, request));
    }
  }

  TEST_CASE_FIXTURE(fixture, "what the hardware cannot do is said so") {
    hardware->broken = true;
    CHECK(code_of(ask(pcr_read_1_2(0))) == code::io_error);
    CHECK(code_of(ask(pcr_read_2_0(0))) == code::io_error);
    CHECK(code_of(without.answer(true, pcr_read_1_2(0)))
          == code::disabled_command);
    CHECK(code_of(ask(packet(tpm12_tag, 0x65), true))
          == code::disabled_command);
    CHECK(code_of(ask(packet(tpm20_tag, 0x144), true))
          == code::disabled_command);
  }
}
