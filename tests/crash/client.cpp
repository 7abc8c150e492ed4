#include "tests/crash/client.hpp"

#include <chrono>
#include <exception>
#include <stdexcept>

#include "xenio/loopback/frontend.hpp"

namespace vtpm::crash {

namespace {

using simulation::deed;
using simulation::guest_state;

/// How long a command may take, with a restart or two on the way.
constexpr auto patience = std::chrono::seconds{60};

constexpr auto version = tpm_version::v2_0;

/// Sessions that a TPM 2.0 holds (MAX_LOADED_SESSIONS, PC Client Platform TPM
/// Profile); those who come later do without.
constexpr auto sessions_max = 3u;

/// TPM_RC_COMMAND_SIZE, what a TPM says of half a response (TPM 2.0 Part 2).
constexpr auto rc_command_size = 0x142u;

/// A kill has left half of the response where the request was: the command has
/// happened, and nobody will learn what it returned. Not with a shadow.
struct response_lost {};

} // namespace

client::client(const std::string& socket_path, unsigned number,
               std::uint64_t seed, bool has_shadow,
               const std::atomic<std::uint64_t>& kills)
  : number_(number), random_(seed), has_shadow_(has_shadow), kills_(kills) {
  auto who = xenio::loopback::identity{};
  who.domain = static_cast<xenio::domid>(number + 1);
  who.uuid.replace(who.uuid.size() - 3, 3, std::to_string(100 + number));
  auto connected = xenio::loopback::connect(socket_path, who, patience);
  if (!connected)
    throw std::runtime_error{connected.error().detail};
  ring_ = std::move(*connected);
  for (const auto& command : simulation::preparation(version, number))
    run_command(command);
  counter_ = simulation::number_in(version, ask(deed::read_counter)).value();
  if (!has_shadow || number >= sessions_max)
    return;
  session_.emplace([this](byte_view request) { return run_command(request); },
                   number);
  session_->open();
  session_counter_ = session_->read();
}

byte_vector client::run_command(byte_view request) {
  const auto kills = kills_.load();
  auto response = ring_->transact(0, request, patience);
  if (!response)
    throw std::runtime_error{"no response: " + response.error().detail};
  ++report_.answers;
  const auto code = simulation::result_of(*response);
  if (!has_shadow_ && code == rc_command_size && kills != kills_)
    throw response_lost{};
  if (code != 0)
    throw std::runtime_error{"a command was answered with "
                             + std::to_string(code)};
  return std::move(*response);
}

byte_vector client::ask(deed what, std::uint64_t value) {
  return run_command(simulation::encode(version, {what, number_, value}));
}

void client::run(const std::atomic<bool>& stop) {
  try {
    while (!stop)
      try_one_thing();
  } catch (const std::exception& why) {
    report_.problem = "client " + std::to_string(number_) + ": " + why.what();
  }
  has_ended_ = true;
}

void client::compare_all() {
  try {
    compare_counter();
    compare_pcr();
    if (session_)
      compare_session();
  } catch (const std::exception& why) {
    report_.problem = "client " + std::to_string(number_) + ": " + why.what();
  }
}

void client::try_one_thing() {
  const auto kills = kills_.load();
  try {
    do_one_thing();
  } catch (const response_lost&) {
    // An extend is gone with the PCR; an increment happened, perhaps again
    // after each kill but the last.
    surplus_ += kills_ - kills;
  }
}

void client::do_one_thing() {
  switch (random_() % 8) {
    case 0:
      compare_counter();
      return;
    case 1:
      compare_pcr();
      return;
    case 2:
    case 3:
    case 4: {
      const auto done = extension{random_(), kills_};
      ask(deed::extend, done.value);
      extensions_.push_back(done);
      ++report_.extends;
      return;
    }
    case 5:
      if (session_) {
        session_->increment();
        ++session_counter_;
        ++report_.authorized;
        if (random_() % 4 == 0)
          compare_session();
        return;
      }
      [[fallthrough]];
    default:
      increment();
  }
}

void client::increment() {
  const auto kills = kills_.load();
  ask(deed::increment);
  ++counter_;
  ++report_.increments;
  if (!has_shadow_)
    surplus_ += kills_ - kills;
}

void client::compare_counter() {
  const auto found
    = simulation::number_in(version, ask(deed::read_counter)).value();
  if (found < counter_ || found > counter_ + surplus_)
    throw std::runtime_error{"the counter is " + std::to_string(found)
                             + ", acknowledged were " + std::to_string(counter_)
                             + " and at most " + std::to_string(surplus_)
                             + " more"};
  counter_ = found;
  surplus_ = 0;
  ++report_.comparisons;
}

void client::compare_pcr() {
  const auto response = ask(deed::read_pcr);
  const auto kills = kills_.load();
  const auto found = simulation::pcr_in(version, response);
  const auto is_explained_by = [&](guest_state state, std::size_t first) {
    for (auto i = first; i < extensions_.size(); ++i)
      state = simulation::after(version, state,
                                {deed::extend, number_, extensions_[i].value});
    if (found != state.pcr)
      return false;
    before_ = state;
    extensions_.clear();
    ++report_.comparisons;
    return true;
  };
  if (is_explained_by(before_, 0))
    return;
  // Without a shadow a kill has reset the PCR, but not behind the back of what
  // was acknowledged since the last one.
  for (auto i = std::size_t{0}; !has_shadow_ && i <= extensions_.size(); ++i) {
    if (is_explained_by({}, i))
      return;
    if (i < extensions_.size() && extensions_[i].kills == kills)
      break;
  }
  throw std::runtime_error{"the PCR is not what "
                           + std::to_string(extensions_.size())
                           + " acknowledged extends make of it"};
}

void client::compare_session() {
  const auto found = session_->read();
  if (found != session_counter_)
    throw std::runtime_error{"the authorized counter is "
                             + std::to_string(found) + ", acknowledged were "
                             + std::to_string(session_counter_)};
  ++report_.comparisons;
}

} // namespace vtpm::crash
