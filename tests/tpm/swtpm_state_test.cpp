#include "tpm/swtpm_state.hpp"

#include <fstream>

#include <fcntl.h>
#include <unistd.h>

#include "tests/tpm/hex.hpp"
#include "tests/tpm/scratch_directory.hpp"
#include "tests/tpm/store_fixture.hpp"
#include "tpm/owned_file.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::from_hex;
using vtpm::tests::scratch_directory;

namespace {

/// As swtpm 0.7.1 writes it: header, then one field with four octets of state.
byte_vector plain_file() {
  return from_hex("02 01 000a 0000 00000014"
                  "0001 00000004 aabbccdd");
}

void write_file(const std::string& path, const byte_vector& octets) {
  std::ofstream{path, std::ios::binary}.write(
    reinterpret_cast<const char*>(octets.data()),
    static_cast<std::streamsize>(octets.size()));
}

errc refusal_of(byte_view octets) {
  const auto state = decode_swtpm_file(octets);
  REQUIRE_FALSE(state);
  return state.error().code;
}

} // namespace

TEST_SUITE("tpm/swtpm_state") {
  TEST_CASE("the state in a plain file is found") {
    const auto state = decode_swtpm_file(plain_file());
    REQUIRE(state);
    CHECK(*state == secret_bytes{0xAA, 0xBB, 0xCC, 0xDD});
    // Behind a field that says nothing to us.
    const auto second = from_hex("02 01 000a 0000 0000001b"
                                 "0007 00000001 55"
                                 "0001 00000004 aabbccdd");
    CHECK(decode_swtpm_file(second));
  }

  TEST_CASE("an encrypted file is called that") {
    auto file = plain_file();
    file[5] = 1;
    const auto state = decode_swtpm_file(file);
    REQUIRE_FALSE(state);
    CHECK(state.error().code == errc::unusable);
    CHECK(state.error().detail.find("encrypted") != std::string::npos);
  }

  TEST_CASE("no other length will do") {
    const auto file = plain_file();
    for (std::size_t size = 0; size < file.size(); ++size) {
      CAPTURE(size);
      CHECK(refusal_of(byte_view{file}.first(size)) == errc::not_a_state);
    }
    auto grown = file;
    grown.push_back(0);
    CHECK(refusal_of(grown) == errc::not_a_state);
    // Fields that reach beyond the end, and one cut short.
    auto longer = file;
    longer[15] = 5;
    CHECK(refusal_of(longer) == errc::not_a_state);
    CHECK(refusal_of(from_hex("02 01 000a 0000 0000000d 000100"))
          == errc::not_a_state);
    CHECK(refusal_of(from_hex("02 01 000a 0000 0000000a"))
          == errc::not_a_state);
  }

  TEST_CASE("headers of other versions are refused") {
    for (const auto offset : {0u, 1u, 3u}) {
      auto file = plain_file();
      file[offset] = 3;
      CHECK(refusal_of(file) == errc::unusable);
    }
  }

  TEST_CASE("a directory tells its TPM's version and what it leaves behind") {
    scratch_directory directory;
    const auto none = read_swtpm_directory(directory / ".", std::nullopt);
    REQUIRE_FALSE(none);
    CHECK(none.error().code == errc::not_found);
    write_file(directory / "tpm-00.permall", plain_file());
    auto found = read_swtpm_directory(directory / ".", std::nullopt);
    REQUIRE(found);
    CHECK(found->version == tpm_version::v1_2);
    CHECK(found->state.permanent.size() == 4);
    CHECK(found->state.savestate.empty());
    CHECK_FALSE(found->volatile_ignored);
    write_file(directory / "tpm-00.savestate", plain_file());
    write_file(directory / "tpm-00.volatilestate", plain_file());
    found = read_swtpm_directory(directory / ".", std::nullopt);
    REQUIRE(found);
    CHECK(found->state.savestate.size() == 4);
    CHECK(found->volatile_ignored);
    write_file(directory / "tpm2-00.permall", plain_file());
    CHECK(read_swtpm_directory(directory / ".", std::nullopt).error().code
          == errc::unusable);
    CHECK(read_swtpm_directory(directory / ".", tpm_version::v2_0)->version
          == tpm_version::v2_0);
    CHECK(read_swtpm_directory(directory / ".", tpm_version::v1_2)->version
          == tpm_version::v1_2);
  }

  TEST_CASE("a directory that a swtpm has locked is left alone") {
    scratch_directory directory;
    write_file(directory / "tpm-00.permall", plain_file());
    write_file(directory / ".lock", {});
    CHECK(read_swtpm_directory(directory / ".", std::nullopt));
    const auto lock
      = owned_descriptor{::open((directory / ".lock").c_str(), O_RDWR)};
    struct flock whole {};
    whole.l_type = F_WRLCK;
    REQUIRE(::fcntl(lock.get(), F_OFD_SETLK, &whole) == 0);
    const auto refused = read_swtpm_directory(directory / ".", std::nullopt);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == errc::locked);
  }
}
