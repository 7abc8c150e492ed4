#include "deploy/vtpmd/create_state.hpp"

#include <fstream>

#include <doctest/doctest.h>

#include "tests/xenio/scratch_directory.hpp"
#include "tpm/block_file.hpp"

using namespace vtpm;
using namespace vtpm::deploy;

namespace fs = std::filesystem;

namespace {

struct fixture {
  create_options wanted(tpm_version version) const {
    create_options options;
    options.place.state_path = state.string();
    options.place.key_path = key.string();
    options.version = version;
    return options;
  }

  tests::scratch_directory directory;
  fs::path state = directory.path() / "tpm";
  fs::path key = directory.path() / "tpm.key";
};

} // namespace

TEST_SUITE("deploy/vtpmd/create_state") {
  TEST_CASE_FIXTURE(fixture, "what was created can be opened") {
    for (const auto version : {tpm_version::v1_2, tpm_version::v2_0})
      for (const auto kind :
           {tpm::committer_kind::automatic, tpm::committer_kind::thread}) {
        CAPTURE(to_string(version));
        auto options = wanted(version);
        options.committer = kind;
        const auto id = create_state(options);
        REQUIRE(id);
        CHECK(fs::status(state).permissions()
              == (fs::perms::owner_read | fs::perms::owner_write));
        const auto device = tpm::block_file::open(options.place.state_path);
        REQUIRE(device);
        const auto secret = tpm::load_local_key(options.place.key_path);
        REQUIRE(secret);
        const auto opened
          = tpm::state_store::open(**device, *secret, version, false);
        REQUIRE(opened);
        CHECK(opened->store->status().id == *id);
        CHECK(opened->store->status().durable == 1);
        CHECK_FALSE(opened->state->permanent.empty());
        fs::remove(state);
        fs::remove(key);
      }
  }

  TEST_CASE_FIXTURE(fixture, "the uuid asked for is taken") {
    auto options = wanted(tpm_version::v2_0);
    options.id = tpm::uuid{1, 2, 3};
    const auto id = create_state(options);
    REQUIRE(id);
    CHECK(*id == *options.id);
  }

  TEST_CASE_FIXTURE(fixture, "an existing state is refused and untouched") {
    std::ofstream{state} << "precious";
    const auto id = create_state(wanted(tpm_version::v2_0));
    REQUIRE_FALSE(id);
    CHECK(id.error().code == tpm::errc::exists);
    CHECK(fs::file_size(state) == 8);
    CHECK_FALSE(fs::exists(key));
  }

  TEST_CASE_FIXTURE(fixture, "an existing key is refused, no state is left") {
    std::ofstream{key} << "precious";
    const auto id = create_state(wanted(tpm_version::v2_0));
    REQUIRE_FALSE(id);
    CHECK(id.error().code == tpm::errc::exists);
    CHECK(fs::file_size(key) == 8);
    CHECK_FALSE(fs::exists(state));
    // So the next try, without the obstacle, works.
    fs::remove(key);
    CHECK(create_state(wanted(tpm_version::v2_0)));
  }

  TEST_CASE_FIXTURE(fixture, "what another put there first is not removed") {
    // A dangling link is not there for whoever looks, and is for whoever makes
    // a file of that name: as if it had come in between.
    for (const auto& taken : {state, key}) {
      CAPTURE(taken);
      fs::create_symlink("nowhere", taken);
      CHECK_FALSE(create_state(wanted(tpm_version::v2_0)));
      CHECK(fs::is_symlink(taken));
      fs::remove(taken);
      CHECK(fs::is_empty(directory.path()));
    }
  }

  TEST_CASE_FIXTURE(fixture, "where nothing can be written nothing is left") {
    auto options = wanted(tpm_version::v2_0);
    options.place.key_path = "/nonexistent/key";
    CHECK_FALSE(create_state(options));
    CHECK_FALSE(fs::exists(state));
    options = wanted(tpm_version::v2_0);
    options.place.state_path = "/nonexistent/state";
    CHECK_FALSE(create_state(options));
    CHECK_FALSE(fs::exists(key));
  }
}
