// Goal: a manager's disk and its hardware TPM, the real ones: no cut refuses,
// and what was put back is found.
// Method: slots in a file, a counter in swtpm, which is killed; the file and
// swtpm's own are copied and put back.

#include "tpm/hardware/counted_store.hpp"

#include <filesystem>

#include <doctest/doctest.h>

#include "tests/tpm/hardware/machine.hpp"
#include "tests/tpm/store_fixture.hpp"
#include "tpm/block_file.hpp"
#include "tpm/hardware/sealed_key.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::machine;
using vtpm::tests::must;
using vtpm::tests::scratch_directory;
using vtpm::tests::state_of;

namespace fs = std::filesystem;

namespace {

const auto policy = seal_policy{{pcr_bank::sha256, 0x95}, {}};

/// What a manager has: a disk with its store and sealed key, and a TPM.
struct manager {
  explicit manager(counter_kind kind) {
    const auto secret = make_store_secret(kind, 0x01B07001);
    const auto reading = must(m.tpm->define_counter(*secret.counter));
    must(create_sealed_key(key_path(),
                           must(seal_store_secret(*m.tpm, secret, policy))));
    device = must(block_file::create(store_path()));
    store = must(
      state_store::create(*device, secret.key, tpm_version::v2_0, {}, reading));
    writer = must(make_committer(committer_kind::thread, device->descriptor()));
    counter.emplace(*m.tpm, *secret.counter);
    commit();
  }

  std::string store_path() const {
    return directory / "store";
  }

  std::string key_path() const {
    return directory / "key";
  }

  void commit() {
    ++newest;
    must(commit_counted(*store, *writer, *counter, newest, state_of(newest)));
    acknowledged = newest;
  }

  /// A commit that ends before it is acknowledged.
  void commit_in_part(bool raise) {
    ++newest;
    const auto write = must(store->prepare(newest, state_of(newest)));
    must(write_and_wait(*writer, write.offset, write.data));
    if (raise)
      must(counter->raise(write.record.number));
  }

  void stop() {
    writer.reset();
    store.reset();
    counter.reset();
    device.reset();
  }

  void reboot(bool in_order) {
    stop();
    m.reboot(in_order);
  }

  result<state_store::opened> try_start() {
    stop();
    const auto secret
      = unseal_store_secret(*m.tpm, must(load_sealed_key(key_path())), {});
    if (!secret)
      return secret.error();
    device = must(block_file::open(store_path()));
    writer = must(make_committer(committer_kind::thread, device->descriptor()));
    counter.emplace(*m.tpm, *secret->counter);
    return open_counted(*device, *writer, secret->key, tpm_version::v2_0,
                        *counter, /*adopt=*/false);
  }

  void start() {
    auto opened = must(try_start());
    store = std::move(opened.store);
    const auto found = store->latest().through() - 1;
    CHECK(found >= acknowledged);
    CHECK(tests::equal(*opened.state, state_of(found)));
    newest = acknowledged = found + 1;
    // What was found was committed once more; make it recognizable again.
    commit();
  }

  void check_refused(errc code) {
    const auto refused = try_start();
    REQUIRE_FALSE(refused);
    CAPTURE(refused.error().detail);
    CHECK(refused.error().code == code);
  }

  machine m;
  scratch_directory directory;
  std::unique_ptr<block_file> device;
  std::unique_ptr<committer> writer;
  std::unique_ptr<state_store> store;
  std::optional<counter_keeper> counter;
  generation newest = 0;
  generation acknowledged = 0;
};

void put_back(const std::string& from, const std::string& to) {
  fs::copy_file(from, to, fs::copy_options::overwrite_existing);
}

} // namespace

TEST_SUITE("tpm/hardware/counted_store") {
  TEST_CASE("power goes at every step, in order or not, and nothing is lost") {
    for (const auto kind : {counter_kind::strict, counter_kind::orderly}) {
      manager a{kind};
      for (const auto in_order : {false, true})
        for (const auto step : {0, 1, 2}) {
          CAPTURE(step);
          a.commit();
          if (step > 0)
            a.commit_in_part(/*raise=*/step == 2);
          a.reboot(in_order);
          a.start();
        }
    }
  }

  TEST_CASE("a manager that is killed with its TPM on goes on, too") {
    for (const auto kind : {counter_kind::strict, counter_kind::orderly}) {
      manager a{kind};
      for (const auto raise : {false, true}) {
        a.commit_in_part(raise);
        a.start();
      }
    }
  }

  TEST_CASE("a disk that was put back is found") {
    for (const auto kind : {counter_kind::strict, counter_kind::orderly}) {
      manager a{kind};
      fs::copy_file(a.store_path(), a.directory / "old");
      a.commit();
      put_back(a.directory / "old", a.store_path());
      a.check_refused(errc::rollback);
      // After a shutdown in good order, too.
      a.reboot(true);
      a.check_refused(errc::rollback);
    }
  }

  TEST_CASE("a strict counter finds it after a power cut, an orderly one says "
            "what it does not know") {
    for (const auto kind : {counter_kind::strict, counter_kind::orderly}) {
      manager a{kind};
      fs::copy_file(a.store_path(), a.directory / "old");
      a.commit();
      a.commit();
      a.reboot(false);
      put_back(a.directory / "old", a.store_path());
      const auto opened = a.try_start();
      if (kind == counter_kind::strict) {
        REQUIRE_FALSE(opened);
        CHECK(opened.error().code == errc::rollback);
      } else {
        REQUIRE(opened);
        CHECK(opened->verdict.unsure >= 2);
        CHECK(opened->verdict.unsure <= 255);
      }
    }
  }

  TEST_CASE("a key that was sealed again is the same key") {
    manager a{counter_kind::strict};
    a.commit();
    a.stop();
    const auto secret = must(
      unseal_store_secret(*a.m.tpm, must(load_sealed_key(a.key_path())), {}));
    // The next boot will measure something else.
    a.m.extend(4);
    a.check_refused(errc::policy);
    must(replace_sealed_key(a.key_path(),
                            must(seal_store_secret(*a.m.tpm, secret, policy))));
    a.start();
    a.reboot(true);
    a.check_refused(errc::policy);
    a.m.extend(4);
    a.start();
  }

  TEST_CASE("on another machine the store opens with its recovery file only") {
    manager a{counter_kind::strict};
    a.commit();
    const auto secret = must(
      unseal_store_secret(*a.m.tpm, must(load_sealed_key(a.key_path())), {}));
    a.stop();
    a.m.tpm.reset();
    a.m.swtpm.replace();
    a.m.connect();
    a.check_refused(errc::wrong_key);
    // A new counter, the same key, and the state whatever its number.
    auto anew = make_store_secret(counter_kind::strict, 0x01B07001);
    anew.key = secret.key;
    must(a.m.tpm->define_counter(*anew.counter));
    a.device = must(block_file::open(a.store_path()));
    a.writer
      = must(make_committer(committer_kind::thread, a.device->descriptor()));
    a.counter.emplace(*a.m.tpm, *anew.counter);
    must(open_counted(*a.device, *a.writer, anew.key, tpm_version::v2_0,
                      *a.counter, /*adopt=*/true));
    must(replace_sealed_key(a.key_path(),
                            must(seal_store_secret(*a.m.tpm, anew, policy))));
    a.stop();
    auto opened = must(a.try_start());
    CHECK(tests::equal(*opened.state, state_of(a.acknowledged)));
  }
}
