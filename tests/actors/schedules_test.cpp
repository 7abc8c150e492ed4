// Goal: in every order in which things may happen, what a guest was told is on
// the disk, answers come in order, and nobody waits for ever.
// Method: worlds of a few guests, a lying disk and a slow worker; one thing at
// a time happens, picked by a seed; then the power is cut. A failure prints
// the seed, and VTPM_SCHEDULE_SEED runs that world alone.

#include <cerrno>
#include <cstdlib>

#include "tests/actors/domain_fixture.hpp"
#include "tests/printing.hpp"

using namespace vtpm;
using namespace vtpm::tests;

namespace {

/// One guest that asks, sometimes cancels, sometimes dies.
struct player {
  std::unique_ptr<xenio::simulated::guest> guest;
  bool asked = false;
  /// The highest counter this guest was told.
  std::uint64_t told = 0;
  unsigned answers = 0;
};

struct game {
  explicit game(std::uint64_t seed) : random(seed) {
    players.reserve(4);
    const auto count = 2 + random() % 3;
    for (std::uint64_t i = 0; i < count; ++i)
      players.push_back({});
    world = std::make_unique<domain_fixture>(
      random(), std::vector<actors::locality_rule>{},
      actors::retry_policy{std::chrono::milliseconds{1},
                           std::chrono::milliseconds{1},
                           std::chrono::milliseconds{1u << 20}});
    for (std::uint64_t i = 0; i < count; ++i)
      players[i].guest = world->connect(static_cast<xenio::domid>(i + 1));
  }

  /// Takes an answer, if there is one, and checks it against what is known.
  void look(player& who) {
    auto response = who.guest->take_response();
    if (!response) {
      if (who.guest->state()
          == static_cast<std::uint8_t>(protocol::page_state::idle))
        who.asked = false; // cancelled before it ran
      return;
    }
    who.asked = false;
    ++who.answers;
    const auto counter = counter_in(*response);
    if (counter == 0)
      return;
    CHECK(counter >= who.told);
    who.told = counter;
    most_told = std::max(most_told, counter);
  }

  void play(player& who) {
    if (!who.guest->is_alive())
      return;
    look(who);
    const auto choice = random() % 64;
    if (choice == 0) {
      who.guest->die();
      who.asked = false;
    } else if (who.asked) {
      if (choice < 6)
        who.guest->cancel();
      else if (choice < 10)
        who.guest->ring();
    } else {
      static constexpr scripted codes[]
        = {scripted::increment, scripted::increment, scripted::read,
           scripted::extend, scripted::create};
      who.guest->submit(0, make_request(codes[random() % 5]));
      who.asked = true;
    }
  }

  /// Lets one thing happen.
  void step() {
    switch (random() % 8) {
      case 0:
        if (world->committer->busy()) {
          if (random() % 8 == 0)
            world->fail_write(EIO);
          else
            world->complete_write();
        }
        return;
      case 1:
        if (world->helper->busy())
          world->helper->complete();
        return;
      case 2:
        world->advance(std::chrono::milliseconds{1});
        return;
      case 3:
        play(players[random() % players.size()]);
        return;
      case 4:
        world->loop.run_one();
        return;
      default:
        world->step_any(random);
    }
  }

  /// Everyone who asked gets an answer once disk and worker do their part.
  void finish() {
    for (auto round = 0; round < 8; ++round) {
      world->run_to_end();
      world->advance(std::chrono::milliseconds{1});
      for (auto& who : players)
        if (who.guest->is_alive())
          look(who);
    }
    for (auto& who : players)
      if (who.guest->is_alive())
        CHECK_FALSE(who.asked);
  }

  std::mt19937_64 random;
  std::unique_ptr<domain_fixture> world;
  std::vector<player> players;
  std::uint64_t most_told = 0;
};

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const auto* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// Plays one world; returns whether it ran to its end before the power cut.
bool play_world(std::uint64_t seed) {
  CAPTURE(seed);
  game play{seed};
  const auto steps = 40 + play.random() % 200;
  for (std::uint64_t i = 0; i < steps; ++i)
    play.step();
  const auto to_end = play.random() % 2 == 0;
  if (to_end)
    play.finish();
  play.world->disk->cut_power();
  const auto stored = play.world->stored_counter();
  CHECK(stored >= play.most_told);
  CHECK(stored <= play.world->script->counter);
  return to_end;
}

} // namespace

TEST_SUITE("actors/schedules") {
  TEST_CASE("what was told survives a power cut in every schedule") {
    const auto only = number_from("VTPM_SCHEDULE_SEED", 0);
    if (only != 0) {
      play_world(only);
      return;
    }
    const auto first = number_from("VTPM_SCHEDULE_FIRST", 1);
    const auto count = number_from("VTPM_SCHEDULES", 2000);
    auto complete = std::uint64_t{0};
    for (auto seed = first; seed < first + count; ++seed)
      complete += play_world(seed) ? 1 : 0;
    MESSAGE(count << " schedules, seeds from " << first << ", " << complete
                  << " of them run to their end");
    CHECK(complete > count / 4);
    CHECK(complete < count);
  }
}
