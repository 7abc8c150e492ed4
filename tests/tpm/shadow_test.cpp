// Goal: a successor finds in the shadow what the last vtpmd had, of one
// instant, or nothing. Method: write shadows on /dev/shm; look at them as they
// are at any moment; flip, cut and mix their octets.

#include "tpm/shadow.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include <sys/stat.h>

#include "tests/tpm/scratch_directory.hpp"
#include "tpm/slot_payload.hpp"

using namespace vtpm;
using namespace vtpm::tests;
using namespace vtpm::tpm;

namespace {

constexpr auto guest = frontend_key{7, 0};
const auto guest_uuid
  = frontend_uuid_of("11111111-2222-3333-4444-555555555555");

snapshot_ptr state_of(std::uint8_t octet, std::size_t size = 2000) {
  auto out = std::make_shared<snapshot>();
  out->permanent.assign(size, octet);
  out->savestate.assign(octet, octet);
  return out;
}

byte_vector response_of(std::uint8_t octet) {
  return byte_vector(10 + octet, octet);
}

struct world {
  world() {
    std::fill(place.owner.boot.begin(), place.owner.boot.end(), 'b');
    place.owner.id.fill(0x1D);
    place.key.assign(shadow_key_size, 0x4B);
    place.path = directory / "shadow";
    first.gen = 5;
    first.state = state_of(5);
    first.volatile_state.assign(900, 0x55);
  }

  std::unique_ptr<shadow> begin(const shadow_content& content) {
    auto made = shadow::make(place, content);
    REQUIRE_MESSAGE(made, (made ? "" : made.error().detail));
    return *std::move(made);
  }

  std::optional<shadow_content> load() {
    auto found = shadow::load(place);
    REQUIRE_MESSAGE(found, (found ? "" : found.error().detail));
    return *std::move(found);
  }

  /// What a kill at this moment would leave.
  byte_vector octets() {
    auto file = std::ifstream{place.path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
  }

  basic_result<shadow_content, std::string> read(const byte_vector& file) {
    return read_shadow(file, place.key, place.owner);
  }

  scratch_directory directory{"/dev/shm"};
  shadow_place place;
  shadow_content first;
};

answer_view answer(const byte_vector& response) {
  return {guest, {12, 34}, response};
}

} // namespace

TEST_SUITE("tpm/shadow") {
  TEST_CASE_FIXTURE(world, "there is nothing to find at first") {
    CHECK(!load());
  }

  TEST_CASE_FIXTURE(world, "a successor finds the state of one instant") {
    auto running = begin(first);
    running->keep(6, state_of(6), byte_vector(1000, 0x66), nullptr);
    running->keep(6, state_of(6), byte_vector(1001, 0x67), nullptr);
    running->remember(byte_vector{1, 2, 3});
    CHECK(running->works());
    running.reset();

    const auto found = load();
    REQUIRE(found);
    CHECK(found->gen == 6);
    CHECK(found->state->permanent == state_of(6)->permanent);
    CHECK(found->state->savestate == state_of(6)->savestate);
    CHECK(found->volatile_state == secret_bytes(1001, 0x67));
    CHECK(found->platform == byte_vector{1, 2, 3});
    CHECK(found->answers.empty());
  }

  TEST_CASE_FIXTURE(world, "an answer is found with its delivery") {
    auto running = begin(first);
    running->attach(guest, guest_uuid);
    CHECK(!running->recall(guest));
    const auto response = response_of(20);
    const auto view = answer(response);
    running->keep(6, state_of(6), byte_vector(1000, 0x66), &view);
    for (const auto mark :
         {delivery::decided, delivery::copying, delivery::copied}) {
      running->mark(guest, mark);
      const auto found = read(octets());
      REQUIRE(found);
      REQUIRE(found->answers.size() == 1);
      const auto& only = found->answers.front();
      CHECK(only.who == guest);
      CHECK(only.uuid == guest_uuid);
      CHECK(only.request == request_print{12, 34});
      CHECK(only.response == response);
      CHECK(only.mark == mark);
    }
    // And by the one after that.
    running.reset();
    const auto found = load();
    REQUIRE(found);
    running = begin(*found);
    const auto again = running->recall(guest);
    REQUIRE(again);
    CHECK(again->response == response);
    CHECK(again->mark == delivery::copied);
  }

  TEST_CASE_FIXTURE(world,
                    "a write that was cut short leaves what was before") {
    auto running = begin(first);
    running->attach(guest, guest_uuid);
    const auto old_response = response_of(1);
    const auto old_view = answer(old_response);
    running->keep(6, state_of(6), byte_vector(1000, 0x66), &old_view);
    running->mark(guest, delivery::copied);
    const auto before = octets();
    const auto response = response_of(2);
    const auto view = answer(response);
    running->keep(7, state_of(7), byte_vector(1000, 0x77), &view);
    const auto after = octets();
    REQUIRE(before.size() == after.size());

    // In the order in which they are written: the answer's cell lies last and
    // is written first.
    auto mixed = before;
    auto steps = 0;
    const auto advance = [&](std::uint32_t cell) {
      const auto where = place_of(cell);
      for (auto i = where.offset; i < where.offset + 2 * where.half_size; ++i) {
        if (mixed[i] == after[i])
          continue;
        mixed[i] = after[i];
        if (++steps % 16 != 0)
          continue;
        const auto found = read(mixed);
        REQUIRE(found);
        REQUIRE(found->answers.size() == 1);
        const auto is_new = mixed == after;
        CHECK(found->gen == (is_new ? 7 : 6));
        CHECK(found->answers.front().response
              == (is_new ? response : old_response));
      }
    };
    advance(first_answer_cell);
    advance(state_cell);
    advance(volatile_cell);
    CHECK(mixed == after);
    CHECK(read(mixed)->gen == 7);
  }

  TEST_CASE_FIXTURE(world, "damage is found, or hits what nobody needs") {
    auto running = begin(first);
    running->attach(guest, guest_uuid);
    const auto response = response_of(3);
    const auto view = answer(response);
    running->keep(6, state_of(6, 40), byte_vector(60, 0x66), &view);
    running->keep(7, state_of(7, 40), byte_vector(60, 0x77), &view);
    running->mark(guest, delivery::copied);
    const auto whole = octets();
    const auto intact = read(whole);
    REQUIRE(intact);
    CHECK(intact->gen == 7);
    auto damaged = whole;
    for (std::size_t i = 0; i < whole.size(); ++i) {
      if (whole[i] == 0)
        continue; // and so of no cell in use, or a neighbour speaks for it
      damaged[i] ^= 1;
      const auto found = read(damaged);
      // An answer in its place proves that the newest state was whole.
      if (found) {
        CHECK(found->gen == 7);
        CHECK(found->volatile_state == intact->volatile_state);
        CHECK(found->state->permanent == intact->state->permanent);
      }
      damaged[i] ^= 1;
    }
  }

  TEST_CASE_FIXTURE(world, "what is cut short is no shadow") {
    begin(first)->attach(guest, guest_uuid);
    const auto whole = octets();
    for (const auto size :
         {std::size_t{0}, std::size_t{95}, shadow_page, shadow_size_min - 1})
      CHECK(!read(
        {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}));
  }

  TEST_CASE_FIXTURE(world, "another boot, TPM or key finds nothing") {
    begin(first);
    SUBCASE("boot") {
      place.owner.boot[0] = 'c';
    }
    SUBCASE("TPM") {
      place.owner.id[15] ^= 1;
    }
    SUBCASE("key") {
      place.key[31] ^= 1;
    }
    CHECK(!load());
  }

  TEST_CASE_FIXTURE(world, "nothing secret is in the file") {
    first.state = state_of(0x7E, 64);
    first.volatile_state.assign(64, 0x7E);
    begin(first);
    const auto file = octets();
    const auto secret = byte_vector(16, 0x7E);
    CHECK(std::search(file.begin(), file.end(), secret.begin(), secret.end())
          == file.end());
  }

  TEST_CASE_FIXTURE(world,
                    "the same state is never sealed the same way twice") {
    begin(first);
    const auto once = octets();
    begin(first);
    const auto twice = octets();
    const auto cell = place_of(state_cell);
    const auto at = static_cast<std::ptrdiff_t>(cell.half(0));
    CHECK(!std::equal(once.begin() + at, once.begin() + at + 2000,
                      twice.begin() + at));
  }

  TEST_CASE_FIXTURE(world, "a shadow in use is nobody else's") {
    const auto running = begin(first);
    const auto found = shadow::load(place);
    REQUIRE(!found);
    CHECK(found.error().code == errc::locked);
  }

  TEST_CASE_FIXTURE(world, "a predecessor that is ending is waited for") {
    auto running = begin(first);
    auto ending = std::thread{[&] {
      std::this_thread::sleep_for(std::chrono::milliseconds{20});
      running.reset();
    }};
    const auto found = shadow::load(place);
    ending.join();
    REQUIRE(found);
    CHECK(*found);
  }

  TEST_CASE_FIXTURE(world, "a file that others may read is not taken") {
    begin(first);
    std::filesystem::permissions(place.path, std::filesystem::perms{0640});
    const auto found = shadow::load(place);
    REQUIRE(!found);
    CHECK(found.error().code == errc::unusable);
  }

  TEST_CASE_FIXTURE(world, "nothing is kept outside of memory") {
    const auto disk = scratch_directory{"/proc/self/cwd"};
    place.path = disk / "shadow";
    const auto made = shadow::make(place, first);
    if (made)
      return; // the build itself is in memory here
    CHECK(made.error().code == errc::unusable);
    CHECK(disk.count() == 0);
  }

  TEST_CASE_FIXTURE(world, "what is discarded is gone, and stays gone") {
    auto running = begin(first);
    running->discard();
    CHECK(!running->works());
    running->keep(6, state_of(6), byte_vector(1000, 0x66), nullptr);
    running.reset();
    CHECK(!load());
    CHECK(directory.count() == 0);
  }

  TEST_CASE_FIXTURE(world, "what is discarded is nothing elsewhere, either") {
    auto running = begin(first);
    std::filesystem::create_hard_link(place.path, directory / "kept");
    running->discard();
    running.reset();
    place.path = directory / "kept";
    CHECK(!load());
    // Its place is still a shadow's.
    begin(first);
    CHECK(load());
  }

  TEST_CASE_FIXTURE(world, "no file but a shadow is replaced or removed") {
    SUBCASE("a file") {
      std::ofstream{place.path} << "precious";
    }
    SUBCASE("a large one") {
      std::ofstream{place.path}.close();
      std::filesystem::resize_file(place.path, shadow_size_max + 1);
    }
    SUBCASE("a link") {
      std::filesystem::create_symlink("elsewhere", place.path);
    }
    SUBCASE("a pipe") {
      REQUIRE(::mkfifo(place.path.c_str(), 0600) == 0);
    }
    const auto before = std::filesystem::symlink_status(place.path).type();
    CHECK(!shadow::make(place, first));
    shadow::clear(place.path);
    CHECK(std::filesystem::symlink_status(place.path).type() == before);
    CHECK(directory.count() == 1);
  }

  TEST_CASE_FIXTURE(world, "a shadow is cleared away, and so is nothing") {
    begin(first);
    shadow::clear(place.path);
    shadow::clear(place.path);
    CHECK(directory.count() == 0);
  }

  TEST_CASE_FIXTURE(world, "a state without room ends the shadow") {
    // Left behind, the one before it would take the guests back in time.
    auto running = begin(first);
    running->keep(6, state_of(6), byte_vector(volatile_half_size), nullptr);
    CHECK(!running->works());
    running.reset();
    CHECK(!load());
  }

  TEST_CASE_FIXTURE(world, "an answer goes with its frontend") {
    auto running = begin(first);
    running->attach(guest, guest_uuid);
    const auto response = response_of(1);
    running->record(answer(response));
    running->record(answer(response));
    CHECK(running->recall(guest));
    SUBCASE("forgotten") {
      running->forget(guest);
    }
    SUBCASE("another under its name") {
      running->attach(guest, frontend_uuid_of("another"));
    }
    CHECK(!running->recall(guest));
    const auto found = read(octets());
    REQUIRE(found);
    CHECK(found->answers.empty());
  }

  TEST_CASE_FIXTURE(world, "frontends beyond the limit displace the oldest") {
    auto running = begin(first);
    const auto response = response_of(1);
    for (auto i = std::uint32_t{0}; i <= answers_max; ++i) {
      running->attach({i, 0}, guest_uuid);
      running->record({{i, 0}, {}, response});
    }
    CHECK(running->works());
    CHECK(!running->recall({0, 0}));
    CHECK(running->recall({1, 0}));
    CHECK(running->recall({answers_max, 0}));
    const auto found = read(octets());
    REQUIRE(found);
    CHECK(found->answers.size() == answers_max);
  }

  TEST_CASE("this boot has a name") {
    const auto name = this_boot();
    REQUIRE(name);
    CHECK((*name)[8] == '-');
  }
}
