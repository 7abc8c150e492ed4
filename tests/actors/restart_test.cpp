// Goal: a command that is in a page when vtpmd dies is answered by the next one
// and has had its effect exactly once.
// Method: a guest sends the same extend twice in a row. After every step of
// every actor, and between any two stores of a delivery, what is in the page
// and in the shadow is what a kill would leave; a new domain goes on from there
// until the guest has both answers.

#include <algorithm>
#include <fstream>

#include "actors/leftover.hpp"
#include "tests/actors/domain_fixture.hpp"
#include "tests/printing.hpp"
#include "tests/tpm/scratch_directory.hpp"
#include "tpm/slot_payload.hpp"

using namespace vtpm;
using namespace vtpm::tests;
using protocol::page_state;
using tpm::delivery;

namespace {

/// How many times the guest sends the same command.
constexpr auto wanted = std::uint64_t{2};

/// What a kill leaves.
struct remains {
  byte_vector shadow;
  std::array<std::uint8_t, protocol::page_size> page{};
  /// How many answers the guest has taken.
  std::uint64_t answers = 0;
  /// It waits for another one.
  bool asked = false;
};

tpm::shadow_place place_in(const scratch_directory& directory) {
  auto place = tpm::shadow_place{};
  place.path = directory / "shadow";
  place.key.assign(tpm::shadow_key_size, 0x4B);
  return place;
}

byte_vector read_all(const std::string& path) {
  auto file = std::ifstream{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{file}, {}};
}

/// What the first vtpmd begins with.
tpm::shadow_content beginning() {
  auto content = tpm::shadow_content{};
  auto state = std::make_shared<tpm::snapshot>();
  state->permanent.assign(8, 0);
  content.state = std::move(state);
  content.volatile_state.assign(8, 0);
  return content;
}

/// One vtpmd and its one guest, from a start to a kill.
class life {
public:
  life(const tpm::shadow_place& place, const tpm::shadow_content& content,
       scripted what, std::string uuid = default_uuid)
    : path_(place.path), what_(what), uuid_(std::move(uuid)) {
    auto made = tpm::shadow::make(place, content);
    REQUIRE_MESSAGE(made, (made ? "" : made.error().detail));
    auto more = actors::supervisor_parts{};
    more.shadow = *std::move(made);
    world_ = std::make_unique<domain_fixture>(
      1, std::vector<actors::locality_rule>{}, actors::retry_policy{}, nullptr,
      std::move(more));
    world_->script->extends
      = protocol::load_be<std::uint64_t>(content.volatile_state.data());
  }

  /// The guest brings this page along, and is connected.
  void connect(const remains& left) {
    guest_
      = std::make_unique<xenio::simulated::guest>(world_->xen, 7, 0, uuid_);
    guest_->page().octets = left.page;
    answers_ = left.answers;
    asked_ = left.asked;
    world_->settle_all();
    guest_->publish();
  }

  /// The guest does what it does by itself.
  void play() {
    const auto state = static_cast<page_state>(guest_->state());
    if (state == page_state::finish && asked_) {
      const auto answer = byte_view{guest_->page().octets}.subspan(8);
      CHECK(result_of(answer) == 0);
      ++answers_;
      asked_ = false;
    }
    if (!asked_ && answers_ < wanted) {
      guest_->submit(0, make_request(what_));
      asked_ = true;
    }
  }

  /// One thing happens. Returns whether anything was left to do.
  bool step() {
    if (world_->scheduler.try_run_once() || world_->loop.run_one())
      return true;
    if (world_->helper->busy()) {
      world_->helper->complete();
      return true;
    }
    return false;
  }

  /// Everything happens.
  void run() {
    for (auto round = 0; answers_ < wanted && round < 1000; ++round) {
      play();
      step();
    }
  }

  remains kill() const {
    return {read_all(path_), guest_->page().octets, answers_, asked_};
  }

  std::uint64_t answers() const {
    return answers_;
  }

  domain_fixture& world() {
    return *world_;
  }

  xenio::simulated::guest& guest() {
    return *guest_;
  }

  static inline const std::string default_uuid
    = "00000000-0000-0000-0000-000000000001";

private:
  std::string path_;
  scripted what_;
  std::string uuid_;
  std::unique_ptr<domain_fixture> world_;
  std::unique_ptr<xenio::simulated::guest> guest_;
  std::uint64_t answers_ = 0;
  bool asked_ = false;
};

/// Goes on from `left` in a new domain until the guest is content; the effects
/// must be as many as its commands.
void go_on(const remains& left, scripted what) {
  const auto directory = scratch_directory{"/dev/shm"};
  const auto place = place_in(directory);
  const auto found = tpm::read_shadow(left.shadow, place.key, place.owner);
  REQUIRE_MESSAGE(found, (found ? "" : found.error()));
  life next{place, *found, what};
  next.connect(left);
  next.run();
  CHECK(next.answers() == wanted);
  if (what == scripted::extend)
    CHECK(next.world().script->extends == wanted);
}

/// Where the newest half of the one answer's cell is.
std::size_t newest_half(const byte_vector& shadow) {
  const auto place = tpm::place_of(tpm::first_answer_cell);
  const auto header = [&](unsigned which) {
    return tpm::decode_half_header(
      byte_view{shadow}.subspan(place.half(which), place.half_size));
  };
  return place.half(header(0).sequence < header(1).sequence ? 1 : 0);
}

/// Lets a domain live, and at every step another one go on from there. Returns
/// what was left whenever a response had just arrived.
std::vector<remains> kill_at_every_step(scripted what) {
  const auto directory = scratch_directory{"/dev/shm"};
  std::vector<remains> delivered;
  life first{place_in(directory), beginning(), what};
  first.connect({});
  auto state = first.guest().state();
  auto before = first.kill();
  auto steps = 0;
  for (; first.answers() < wanted && steps < 1000; ++steps) {
    const auto left = first.kill();
    go_on(left, what);
    if (first.guest().state() == static_cast<std::uint8_t>(page_state::finish)
        && state != first.guest().state()) {
      delivered.push_back(before);
      delivered.push_back(left);
    }
    first.play();
    before = first.kill();
    go_on(before, what);
    state = first.guest().state();
    first.step();
  }
  CHECK(steps > 10);
  return delivered;
}

} // namespace

TEST_SUITE("actors/restart") {
  TEST_CASE("a kill at any step between two identical extends") {
    const auto delivered = kill_at_every_step(scripted::extend);
    CHECK(delivered.size() == 2 * wanted);
  }

  TEST_CASE("a kill at any step between two identical reads") {
    kill_at_every_step(scripted::read);
  }

  TEST_CASE("a kill at any step of two commands on the worker") {
    kill_at_every_step(scripted::create);
  }

  TEST_CASE("a kill between any two stores of a delivery") {
    const auto delivered = kill_at_every_step(scripted::extend);
    for (std::size_t i = 0; i + 1 < delivered.size(); i += 2) {
      // The page still as the guest left it, the shadow as it ended.
      auto left = delivered[i];
      const auto& after = delivered[i + 1];
      left.shadow = after.shadow;
      auto& mark
        = left.shadow[newest_half(left.shadow) + tpm::half_delivery_offset];
      CHECK(mark == static_cast<std::uint8_t>(delivery::copied));
      mark = static_cast<std::uint8_t>(delivery::decided);
      go_on(left, scripted::extend);
      mark = static_cast<std::uint8_t>(delivery::copying);
      go_on(left, scripted::extend);
      for (std::size_t octet = 8; octet < 8 + 18; ++octet) {
        left.page[octet] = after.page[octet];
        go_on(left, scripted::extend);
      }
      std::copy_n(after.page.begin(), 4, left.page.begin());
      go_on(left, scripted::extend);
      mark = static_cast<std::uint8_t>(delivery::copied);
      go_on(left, scripted::extend);
      left.page[protocol::page_state_offset]
        = static_cast<std::uint8_t>(page_state::cancel);
      go_on(left, scripted::extend);
      go_on(after, scripted::extend);
    }
  }

  TEST_CASE("a guest that has started over gets no answer from before") {
    const auto directory = scratch_directory{"/dev/shm"};
    const auto place = place_in(directory);
    life first{place, beginning(), scripted::extend};
    first.connect({});
    first.play();
    while (first.world().script->executed == 0)
      REQUIRE(first.step());
    auto left = first.kill();
    const auto found = tpm::read_shadow(left.shadow, place.key, place.owner);
    REQUIRE(found);
    REQUIRE(found->answers.size() == 1);
    CHECK(found->answers.front().mark == delivery::decided);

    const auto elsewhere = scratch_directory{"/dev/shm"};
    SUBCASE("with another command in its page") {
      life next{place_in(elsewhere), *found, scripted::read};
      left.page[10 + 7] = 0x4E; // TPM2_NV_Read
      left.page[10 + 6] = 0x01;
      next.connect(left);
      next.world().run_to_end();
      CHECK(next.world().script->executed == 1);
    }
    SUBCASE("with an empty page, and then the same command") {
      life next{place_in(elsewhere), *found, scripted::extend};
      next.connect({});
      next.world().run_to_end();
      CHECK(next.world().script->executed == 0);
      next.guest().submit(0, make_request(scripted::extend));
      next.world().run_to_end();
      CHECK(next.world().script->executed == 1);
    }
    SUBCASE("under another uuid") {
      life next{place_in(elsewhere), *found, scripted::extend,
                "00000000-0000-0000-0000-000000000002"};
      next.connect(left);
      next.world().run_to_end();
      CHECK(next.world().script->executed == 1);
    }
    SUBCASE("unless it is the same, which then is not run") {
      life next{place_in(elsewhere), *found, scripted::extend};
      next.connect(left);
      next.world().run_to_end();
      CHECK(next.world().script->executed == 0);
      CHECK(next.guest().state()
            == static_cast<std::uint8_t>(page_state::finish));
    }
  }
}
