// Goal: no power cut, failed write or killed process loses an acknowledged
// generation, brings an old one back, or makes the state refuse to open.
// Method: random histories over the lying disk, one per seed; after every
// accident the store is opened and compared with what was acknowledged.

#include <map>

#include "tests/tpm/store_fixture.hpp"

using namespace vtpm;
using namespace vtpm::tpm;
using vtpm::tests::authority;
using vtpm::tests::equal;
using vtpm::tests::scripted_committer;
using vtpm::tests::state_of;
using vtpm::tests::store_fixture;

namespace {

/// One TPM's life with accidents.
class history {
public:
  history(std::uint64_t seed, authority who) : f_(seed), committer_(f_.disk) {
    f_.who = who;
    f_.create();
    commit_first();
  }

  /// Commits a few times, then has an accident and opens what is left.
  void live_and_crash() {
    for (auto rounds = pick(4); rounds > 0; --rounds) {
      start_write();
      if (pick(8) == 0)
        committer_.fail(EIO);
      else
        committer_.complete();
      if (*committer_.finish()) {
        replace_record();
        acknowledge();
      }
    }
    if (pick(4) != 0) {
      start_write();
      if (f_.who == authority::recording && pick(2) == 0) {
        committer_.complete();
        REQUIRE(*committer_.finish());
        // The process dies between the write and the answer of the authority,
        // who has the record or has not.
        if (pick(2) == 0)
          replace_record();
      }
    }
    if (pick(3) == 0)
      f_.disk.kill_writer();
    else
      f_.disk.cut_power();
    ++accidents_;
    check_survived();
  }

  std::size_t accidents() const noexcept {
    return accidents_;
  }

private:
  std::uint64_t pick(std::uint64_t bound) {
    return f_.disk.random() % bound;
  }

  /// Until the first acknowledgement there is nothing to be lost.
  void commit_first() {
    start_write();
    committer_.complete();
    REQUIRE(*committer_.finish());
    replace_record();
    acknowledge();
  }

  void replace_record() {
    f_.record = std::move(record_);
  }

  void acknowledge() {
    acknowledged_ = f_.store->acknowledge().through();
    REQUIRE(acknowledged_ == newest_);
    content_ = attempts_[newest_].back();
  }

  /// Starts to write a newer state, or the same one that failed.
  void start_write() {
    if (newest_ == f_.store->latest().through() || pick(2) == 0)
      newest_ += 1 + pick(3);
    const auto size = pick(64) == 0 ? pick(120000) : pick(9000);
    auto state = state_of(newest_, size);
    state.savestate.assign(8, static_cast<std::uint8_t>(f_.disk.random()));
    auto write = f_.store->prepare(newest_, state);
    REQUIRE(write);
    attempts_[newest_].push_back(std::move(state));
    record_ = std::move(write->record);
    committer_.start(write->offset, write->data);
  }

  void check_survived() {
    auto opened = f_.open();
    if (!opened)
      FAIL(opened.error().detail);
    const auto gen = f_.store->latest().through();
    REQUIRE(gen >= acknowledged_);
    if (gen == acknowledged_) {
      REQUIRE(equal(*f_.state, content_));
    } else {
      const auto& attempts = attempts_[gen];
      REQUIRE(std::any_of(
        attempts.begin(), attempts.end(),
        [this](const snapshot& attempt) { return equal(*f_.state, attempt); }));
    }
    acknowledged_ = gen;
    content_ = *f_.state;
    // A lost generation's number is used again, for other content.
    newest_ = gen;
    attempts_.clear();
  }

  store_fixture f_;
  scripted_committer committer_;
  /// Of the write under way.
  key_record record_;
  generation newest_ = 0;
  generation acknowledged_ = 0;
  /// What the acknowledged generation holds.
  snapshot content_;
  /// What was handed to `prepare` since the last start, by generation.
  std::map<generation, std::vector<snapshot>> attempts_;
  std::size_t accidents_ = 0;
};

constexpr std::uint64_t lives_per_case = 100;

constexpr std::size_t accidents_per_life = 60;

void live_through(std::uint64_t first_seed, authority who) {
  for (auto seed = first_seed; seed < first_seed + lives_per_case; ++seed) {
    CAPTURE(seed);
    history life{seed, who};
    while (life.accidents() < accidents_per_life)
      life.live_and_crash();
  }
}

} // namespace

TEST_SUITE("tpm/state_store_power") {
  // Cut in four, so that they run side by side.
  TEST_CASE("random accidents lose nothing acknowledged, first seeds") {
    live_through(1, authority::local);
  }

  TEST_CASE("random accidents lose nothing acknowledged, second seeds") {
    live_through(1 + lives_per_case, authority::local);
  }

  TEST_CASE("random accidents lose nothing acknowledged, third seeds") {
    live_through(1 + 2 * lives_per_case, authority::local);
  }

  TEST_CASE("random accidents lose nothing acknowledged, fourth seeds") {
    live_through(1 + 3 * lives_per_case, authority::local);
  }

  TEST_CASE("the same with records, first seeds") {
    live_through(1, authority::recording);
  }

  TEST_CASE("the same with records, second seeds") {
    live_through(1 + lives_per_case, authority::recording);
  }

  TEST_CASE("a write cut anywhere in order leaves the old state or the new") {
    // Both slots populated, and the slot under attack longer, shorter or as
    // long as what is written over it.
    for (const auto old_size : {100u, 3700u, 9000u})
      for (const auto new_size : {100u, 3700u, 9000u}) {
        CAPTURE(old_size);
        CAPTURE(new_size);
        store_fixture f;
        f.create();
        f.commit(1, old_size);
        f.commit(2, old_size);
        const auto write = f.prepare(3, new_size);
        const auto before = f.disk.visible;
        const auto sectors = write.data.size() / sector_size;
        for (std::size_t done = 0; done <= sectors; ++done) {
          CAPTURE(done);
          for (const auto from_the_end : {false, true}) {
            f.disk.visible = before;
            const auto skipped = from_the_end ? sectors - done : 0;
            std::copy_n(write.data.begin()
                          + static_cast<std::ptrdiff_t>(skipped * sector_size),
                        done * sector_size,
                        f.disk.slot(0).begin()
                          + static_cast<std::ptrdiff_t>(skipped * sector_size));
            auto opened = state_store::open(f.disk, f.key, std::nullopt, false);
            REQUIRE(opened);
            const auto gen = opened->store->latest().through();
            CHECK(gen == (done == sectors ? 3 : 2));
            CHECK(equal(*opened->state,
                        state_of(gen, done == sectors ? new_size : old_size)));
          }
        }
      }
  }

  TEST_CASE("the first write of a new state cut anywhere is not a state") {
    store_fixture f;
    f.create();
    const auto write = f.prepare(1);
    for (std::size_t done = 0; done < write.data.size(); done += sector_size) {
      std::copy_n(write.data.begin(), done, f.disk.slot(0).begin());
      auto opened = state_store::open(f.disk, f.key, std::nullopt, true);
      REQUIRE_FALSE(opened);
      CHECK(opened.error().code == errc::not_a_state);
    }
  }

  TEST_CASE("every subset of an image's sectors is told from the whole") {
    // One block is eight sectors: 256 ways to tear a write, over a slot with an
    // older image and over one with the remains of an attempt that failed.
    store_fixture f;
    f.create();
    f.commit(1, 100);
    f.commit(2, 100);
    const auto attempt = f.prepare(3, 100);
    const auto failed = byte_vector(attempt.data.begin(), attempt.data.end());
    const auto old = f.disk.visible;
    const auto write = f.prepare(3, 100);
    REQUIRE(write.data.size() == 8 * sector_size);
    const auto lay = [&f](byte_view image, unsigned mask) {
      for (std::size_t i = 0; i < 8; ++i)
        if ((mask >> i & 1) != 0)
          std::copy_n(image.begin()
                        + static_cast<std::ptrdiff_t>(i * sector_size),
                      sector_size,
                      f.disk.slot(0).begin()
                        + static_cast<std::ptrdiff_t>(i * sector_size));
    };
    for (auto earlier = 0u; earlier < 256; earlier += 51)
      for (auto mask = 0u; mask < 256; ++mask) {
        f.disk.visible = old;
        lay(failed, earlier);
        lay(write.data, mask);
        const auto whole = mask == 255 || (mask == 0 && earlier == 255);
        auto opened = state_store::open(f.disk, f.key, std::nullopt, false);
        REQUIRE(opened);
        CHECK(opened->store->latest().through() == (whole ? 3 : 2));
      }
  }
}
