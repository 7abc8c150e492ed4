#include "tpm/hardware/sealed_key.hpp"

#include <fstream>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "tests/tpm/hardware/hardware_double.hpp"
#include "tests/tpm/hex.hpp"
#include "tests/tpm/scratch_directory.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::hardware_double;
using vtpm::tests::scratch_directory;

namespace {

const auto pcrs = pcr_selection{pcr_bank::sha256, 0x95};
const auto example
  = sealed_key{{pcrs, "PEM"}, {{0x01, 0x02}, {0x03, 0x04, 0x05}}};

void put(const std::string& path, byte_view octets) {
  std::ofstream{path, std::ios::binary}.write(
    reinterpret_cast<const char*>(octets.data()),
    static_cast<std::streamsize>(octets.size()));
}

} // namespace

TEST_SUITE("tpm/hardware/sealed_key") {
  TEST_CASE("the octets are as documented, and are read back") {
    const auto documented
      = tests::hex_in_document("tpm/hardware/sealed_key_format.md");
    CHECK(encode_sealed_key(example) == documented);
    const auto back = decode_sealed_key(documented);
    REQUIRE(back);
    CHECK(back->policy.pcrs == pcrs);
    CHECK(back->policy.approver == "PEM");
    CHECK(back->object.public_part == example.object.public_part);
    CHECK(back->object.private_part == example.object.private_part);
  }

  TEST_CASE("a file with any bit changed, or any other length, is refused") {
    const auto octets = encode_sealed_key(example);
    for (std::size_t bit = 0; bit < octets.size() * 8; ++bit) {
      auto changed = octets;
      changed[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
      CAPTURE(bit);
      CHECK_FALSE(decode_sealed_key(changed));
    }
    for (std::size_t size = 0; size < octets.size(); ++size)
      CHECK_FALSE(decode_sealed_key(byte_view{octets}.first(size)));
    auto longer = octets;
    longer.push_back(0);
    CHECK_FALSE(decode_sealed_key(longer));
  }

  TEST_CASE("a file is made once, then replaced, and nobody else reads it") {
    const scratch_directory directory;
    const auto path = directory / "key";
    CHECK(load_sealed_key(path).error().code == errc::not_found);
    REQUIRE(create_sealed_key(path, example));
    CHECK(create_sealed_key(path, example).error().code == errc::exists);
    auto other = example;
    other.policy.pcrs.mask = 1;
    REQUIRE(replace_sealed_key(path, other));
    CHECK(load_sealed_key(path)->policy.pcrs.mask == 1);
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    CHECK(directory.count() == 1);
  }

  TEST_CASE("a secret that was sealed again opens under the new registers") {
    hardware_double hardware;
    const auto secret = make_store_secret(counter_kind::strict, 0x01B07001);
    auto sealed = seal_store_secret(hardware, secret, {pcrs, {}});
    REQUIRE(sealed);
    CHECK(unseal_store_secret(hardware, *sealed, {}));
    REQUIRE(hardware.extend_pcr(pcr_bank::sha256, 4, byte_vector(32, 1)));
    CHECK(unseal_store_secret(hardware, *sealed, {}).error().code
          == errc::policy);
    sealed = seal_store_secret(hardware, secret, {pcrs, {}});
    REQUIRE(sealed);
    const auto back = unseal_store_secret(hardware, *sealed, {});
    REQUIRE(back);
    CHECK(encode_store_secret(*back) == encode_store_secret(secret));
  }

  TEST_CASE("approvals are read in pairs, and others are skipped") {
    const scratch_directory directory;
    CHECK_FALSE(load_approvals(directory / "none"));
    put(directory / "good.policy", byte_vector(32, 1));
    put(directory / "good.sig", byte_vector(70, 2));
    put(directory / "unsigned.policy", byte_vector(32, 1));
    put(directory / "short.policy", byte_vector(31, 1));
    put(directory / "short.sig", byte_vector(70, 2));
    put(directory / "long.policy", byte_vector(32, 1));
    put(directory / "long.sig", byte_vector(1000, 2));
    put(directory / "README", byte_vector(1, 1));
    const auto found = load_approvals(directory / "");
    REQUIRE(found);
    REQUIRE(found->size() == 1);
    CHECK(found->front().policy == byte_vector(32, 1));
    CHECK(found->front().signature == byte_vector(70, 2));
  }
}
