#include "tests/simulation/world.hpp"

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "protocol/tpmif.hpp"

namespace vtpm::simulation {

namespace {

using std::chrono::milliseconds;

/// Patience without end, or little of it.
actors::retry_policy retries_from(std::uint64_t choice) {
  const auto limit = choice == 0 ? milliseconds{3} : milliseconds{1 << 20};
  return {milliseconds{1}, milliseconds{1}, limit, milliseconds{1}};
}

/// The least and the most steps of a life.
constexpr std::uint64_t steps_min = 20;
constexpr std::uint64_t steps_max = 1020;

} // namespace

tally& tally::operator+=(const tally& other) noexcept {
  worlds += other.worlds;
  power_cuts += other.power_cuts;
  deaths += other.deaths;
  steps += other.steps;
  answers += other.answers;
  failed_writes += other.failed_writes;
  misdirected += other.misdirected;
  refusals += other.refusals;
  return *this;
}

world::world(const engine_kit& kit, std::uint64_t seed, unsigned guests)
  : kit_(kit),
    random_(seed),
    guests_(guests == 0 ? 1 + static_cast<unsigned>(pick(guests_max)) : guests),
    disk_(random_(), pick(2) == 0 ? 4096 : 512),
    retries_(retries_from(pick(4))) {
  seed_entropy(random_());
  keys_.keeps_records = pick(2) == 0;
  keys_.secret.octets.assign(tpm::local_key::size, 0x5A);
  keys_.is_away = [this] {
    const auto away = bad_luck(16);
    write_failed_ = write_failed_ || away;
    return away;
  };
  keys_.is_made_all_the_same = [this] { return pick(2) == 0; };
  create_state();
  boot_machine();
  done_.worlds = 1;
}

void world::create_state() {
  auto store = keys_.keeps_records
    ? tpm::state_store::create(disk_, kit_.version, tpm::uuid{})
    : tpm::state_store::create(disk_, keys_.secret, kit_.version, tpm::uuid{});
  if (!store)
    throw broken_promise{"creating: " + store.error().detail};
  auto write = (*store)->prepare(1, *kit_.base);
  if (!write)
    throw broken_promise{"creating: " + write.error().detail};
  disk_.write_durably(write->offset, write->data);
  keys_.record = std::move(write->record);
  (*store)->acknowledge();
}

void world::boot_machine() {
  machine_ = std::make_unique<machine>();
  machine_->players.resize(guests_);
  for (auto i = 0u; i < guests_; ++i) {
    auto uuid = std::string{"00000000-0000-0000-0000-000000000000"};
    uuid.back() = static_cast<char>('1' + i);
    machine_->players[i].guest = std::make_unique<xenio::simulated::guest>(
      machine_->xen, static_cast<xenio::domid>(i + 1), 0, uuid);
  }
  machine_->xen.inject.events_to_backend = [this](xenio::domid) {
    return bad_luck(16) ? static_cast<unsigned>(2 * pick(2)) : 1u;
  };
}

void world::run() {
  for (auto i = 0u; i < lives; ++i) {
    if (!begin_life())
      return;
    for (auto left = steps_min + pick(steps_max - steps_min); left > 0; --left)
      step();
    if (pick(2) == 0)
      finish();
    end_life(pick(2) == 0 ? ending::power_cut : ending::death);
  }
}

bool world::may_be_refused() const noexcept {
  return spoilt_[0] || spoilt_[1];
}

bool world::begin_life() {
  write_failed_ = draining_ = false;
  if (bad_luck(32))
    disk_.fail_next_sync = EIO;
  const auto look = [this](tpm::engine& engine) {
    const auto found = observe(engine, guests_);
    if (!ledger_)
      ledger_.emplace(kit_.version, found);
    ledger_->reopened(found, false);
  };
  const auto start = [&] {
    return process::start({actors_, disk_, keys_, machine_->xen}, kit_,
                          retries_, look);
  };
  const auto sync_fails = disk_.fail_next_sync.has_value();
  auto started = start();
  if (sync_fails) {
    if (started || started.error().code != tpm::errc::io)
      throw broken_promise{"started without having synced"};
    started = start();
  }
  if (!started) {
    if (!may_be_refused())
      throw broken_promise{"the state does not open: "
                           + started.error().detail};
    ++done_.refusals;
    return false;
  }
  process_ = *std::move(started);
  for (auto i = 0u; i < guests_; ++i)
    if (ledger_->is_waiting(i))
      ledger_->taken_again(i, false);
  return true;
}

void world::end_life(ending how) {
  stop_process(how);
  lose(how);
}

std::uint64_t world::end_life_every_way(ending how) {
  stop_process(how);
  const auto disk = disk_;
  const auto known = *ledger_;
  // Each coin tossed so far, and how it fell; counts up like a number.
  std::vector<bool> fallen;
  for (auto ways = std::uint64_t{1};; ++ways) {
    auto next = std::size_t{0};
    disk_ = disk;
    disk_.coin = [&] {
      if (next == fallen.size())
        fallen.push_back(false);
      return fallen[next++];
    };
    ledger_ = known;
    lose(how);
    disk_.coin = nullptr;
    begin_life();
    while (!fallen.empty() && fallen.back())
      fallen.pop_back();
    if (fallen.empty())
      return ways;
    fallen.back() = true;
    process_->die();
    process_.reset();
  }
}

/// The process is gone, and so is whatever its actors do as they die.
void world::stop_process(ending how) {
  for (auto i = 0u; i < guests_; ++i)
    look(i);
  std::vector<decltype(xenio::simulated::page_memory::octets)> pages;
  for (auto& each : machine_->players)
    pages.push_back(each.guest->page().octets);
  process_->die();
  process_.reset();
  for (auto i = 0u; i < guests_; ++i)
    machine_->players[i].guest->page().octets = pages[i];
  if (how == ending::power_cut)
    boot_machine();
  // Those that died are started again.
  for (auto i = 0u; i < guests_; ++i)
    if (auto& each = machine_->players[i]; !each.guest->is_alive()) {
      const auto uuid = each.guest->uuid();
      each = {};
      each.guest = std::make_unique<xenio::simulated::guest>(
        machine_->xen, static_cast<xenio::domid>(i + 1), 0, uuid);
    }
}

/// What goes with it.
void world::lose(ending how) {
  if (how == ending::death) {
    ++done_.deaths;
    disk_.kill_writer();
  } else {
    ++done_.power_cuts;
    disk_.cut_power();
    for (auto i = 0u; i < guests_; ++i)
      ledger_->abandoned(i);
  }
  done_.answers = ledger_->answers();
}

// -- one thing at a time ------------------------------------------------------

void world::step() {
  ++done_.steps;
  const auto choice = pick(16);
  if (choice < 2)
    use_disk();
  else if (choice == 2 && process_->worker().busy())
    process_->worker().complete();
  else if (choice == 3)
    actors_.advance(milliseconds{1});
  else if (choice < 7)
    play(static_cast<unsigned>(pick(guests_)));
  else if (choice < 10)
    machine_->loop.run_one();
  else
    actors_.step_any(random_);
}

void world::use_disk() {
  if (!process_->is_writing())
    return;
  if (bad_luck(16)) {
    ++done_.failed_writes;
    write_failed_ = true;
    process_->end_write([](auto& writer) { writer.fail(EIO); });
  } else if (bad_luck(512)) {
    misdirect_write();
  } else {
    complete_write();
  }
}

void world::complete_write() {
  spoilt_[disk_.in_flight->offset / tpm::slot_size] = false;
  process_->end_write([](auto& writer) { writer.complete(); });
}

void world::misdirect_write() {
  ++done_.misdirected;
  spoilt_ = {true, true};
  const auto other = tpm::slot_size - disk_.in_flight->offset;
  process_->end_write([other](auto& writer) { writer.complete_at(other); });
}

deed world::choose_deed() {
  static constexpr deed deeds[]
    = {deed::increment, deed::increment,    deed::increment,   deed::write,
       deed::write,     deed::extend,       deed::extend,      deed::extend,
       deed::read_pcr,  deed::read_counter, deed::read_number, deed::create};
  if (bad_luck(64))
    return deed::garbage;
  const auto what = deeds[pick(std::size(deeds))];
  if (kit_.version == tpm_version::v2_0)
    return what;
  if (what == deed::read_counter || what == deed::create)
    return deed::read_number;
  if (what != deed::increment && what != deed::write)
    return what;
  if (nv_writes_left_ == 0)
    return deed::extend;
  --nv_writes_left_;
  return deed::write;
}

command world::choose_command(unsigned guest) {
  auto asked = command{choose_deed(), guest, 0};
  if (asked.what == deed::read_counter || asked.what == deed::read_number)
    asked.target = static_cast<unsigned>(pick(guests_));
  else if (asked.what == deed::write)
    asked.value = ledger_->next_number(guest);
  else if (asked.what == deed::extend)
    asked.value = random_();
  return asked;
}

void world::play(unsigned guest) {
  auto& own = machine_->players[guest];
  if (!own.guest->is_alive())
    return;
  if (!own.is_published) {
    if (own.guest->backend_state() == xenio::xenbus_state::init_wait) {
      own.guest->publish();
      own.is_published = true;
    }
    return;
  }
  look(guest);
  if (bad_luck(256)) {
    own.guest->die();
    ledger_->abandoned(guest);
  } else if (ledger_->is_waiting(guest)) {
    if (bad_luck(12))
      own.guest->cancel();
    else if (pick(4) == 0)
      own.guest->ring();
  } else if (!ledger_->is_in_doubt(guest)) {
    const auto asked = choose_command(guest);
    ledger_->submitted(guest, asked);
    own.guest->submit(0, encode(kit_.version, asked));
  }
}

void world::look(unsigned guest) {
  auto& own = *machine_->players[guest].guest;
  if (!own.is_alive() || !ledger_->is_waiting(guest))
    return;
  const auto is_patient = !draining_ && retries_.limit > milliseconds{1000};
  const auto may_fail = write_failed_ && !is_patient;
  if (auto response = own.take_response())
    ledger_->answered(guest, *response, may_fail);
  else if (own.state() == static_cast<std::uint8_t>(protocol::page_state::idle))
    ledger_->cancelled(guest);
}

// -- to the end ---------------------------------------------------------------

void world::run_to_end() {
  for (;;) {
    while (actors_.settle() + machine_->loop.run_until_idle() > 0) {
      // Events make mail, mail makes events.
    }
    if (process_->is_writing())
      complete_write();
    else if (process_->worker().busy())
      process_->worker().complete();
    else
      return;
  }
}

/// Everyone who asked gets an answer once disk and worker do their part.
void world::finish() {
  const auto was_kind = std::exchange(kind_, true);
  process_->resume();
  for (auto round = 0; round < 8; ++round) {
    run_to_end();
    actors_.advance(milliseconds{1});
    for (auto i = 0u; i < guests_; ++i) {
      look(i);
      // The doorbell may have been lost.
      if (ledger_->is_waiting(i))
        machine_->players[i].guest->ring();
    }
  }
  for (auto i = 0u; i < guests_; ++i)
    if (ledger_->is_waiting(i))
      throw broken_promise{"guest " + std::to_string(i)
                           + ": no response although all is well"};
  kind_ = was_kind;
  if (pick(4) == 0) {
    process_->reset_platform();
    run_to_end();
    ledger_->reset_pcrs();
  } else if (pick(4) == 0) {
    draining_ = true;
    process_->drain();
  }
  for (auto left = pick(steps_min); left > 0; --left)
    step();
}

} // namespace vtpm::simulation
