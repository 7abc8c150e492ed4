#include "tests/simulation/ledger.hpp"

#include <algorithm>
#include <cstdio>

namespace vtpm::simulation {

namespace {

/// TPM_RC_FAILURE (2.0 Part 2, 6.6.3) and TPM_FAIL (1.2 Part 2, 16).
constexpr std::uint32_t rc_failure = 0x101;
constexpr std::uint32_t tpm_fail = 9;

std::string hex(std::uint32_t value) {
  char text[11];
  std::snprintf(text, sizeof(text), "0x%x", value);
  return text;
}

bool reads_number(deed what) noexcept {
  return what == deed::read_counter || what == deed::read_number;
}

std::uint64_t number_of(const guest_state& state, deed what) noexcept {
  return what == deed::read_counter ? state.counter : state.number;
}

} // namespace

ledger::ledger(tpm_version version, const std::vector<guest_state>& known)
  : version_(version), guests_(known.size()) {
  for (std::size_t i = 0; i < known.size(); ++i)
    guests_[i].possible = {{known[i], false}};
}

void ledger::fork(record& of) {
  const auto known = of.possible.size();
  for (std::size_t i = 0; i < known; ++i)
    if (!of.possible[i].done) {
      const auto next
        = possibility{after(version_, of.possible[i].state, *of.asked), true};
      if (std::find(of.possible.begin(), of.possible.end(), next)
          == of.possible.end())
        of.possible.push_back(next);
    }
}

/// Rules out what `wanted` does not hold for.
template <class F>
void ledger::keep(unsigned guest, const std::string& what, F wanted) {
  auto& possible = guests_[guest].possible;
  const auto before = possible;
  std::erase_if(possible,
                [&](const possibility& each) { return !wanted(each); });
  if (!possible.empty())
    return;
  auto text = "guest " + std::to_string(guest) + ": " + what
    + "; what it was told leaves only";
  for (const auto& each : before)
    text += " (" + to_string(each.state) + (each.done ? ", done)" : ")");
  throw broken_promise{text};
}

void ledger::forget(record& of) {
  of.asked.reset();
  std::vector<possibility> merged;
  for (auto each : of.possible) {
    each.done = false;
    if (std::find(merged.begin(), merged.end(), each) == merged.end())
      merged.push_back(each);
  }
  of.possible = std::move(merged);
}

void ledger::submitted(unsigned guest, const command& asked) {
  auto& own = guests_[guest];
  own.asked = asked;
  if (reads_number(asked.what)) {
    own.at_least = ~std::uint64_t{0};
    for (const auto& each : guests_[asked.target].possible)
      own.at_least = std::min(own.at_least, number_of(each.state, asked.what));
  }
  fork(own);
}

void ledger::revealed(unsigned guest, byte_view response) {
  const auto asked = *guests_[guest].asked;
  if (asked.what == deed::read_pcr) {
    const auto pcr = pcr_in(version_, response);
    keep(guest, "read a PCR that it does not have",
         [&](const auto& each) { return pcr == each.state.pcr; });
  }
  if (!reads_number(asked.what))
    return;
  const auto number = number_in(version_, response);
  const auto what = std::string{name_of(asked.what)} + " returned "
    + (number ? std::to_string(*number) : "nothing");
  if (!number || *number < guests_[guest].at_least)
    throw broken_promise{
      "guest " + std::to_string(guest) + ": " + what + ", at least "
      + std::to_string(guests_[guest].at_least) + " was known"};
  // Whoever owns it may have gone on since, but never back.
  keep(asked.target, what + " to guest " + std::to_string(guest),
       [&](const possibility& each) {
         return number_of(each.state, asked.what) >= *number;
       });
}

void ledger::answered(unsigned guest, byte_view response, bool may_fail) {
  auto& own = guests_[guest];
  if (!own.asked)
    throw broken_promise{"guest " + std::to_string(guest)
                         + ": a response to nothing"};
  ++answers_;
  const auto code = result_of(response);
  const auto what = own.asked->what;
  const auto failed = code == rc_failure || code == tpm_fail;
  if (what == deed::garbage || what == deed::create || (failed && may_fail)) {
    if (code == 0 && what == deed::garbage)
      throw broken_promise{"garbage was executed"};
    forget(own);
    return;
  }
  if (code != 0)
    throw broken_promise{"guest " + std::to_string(guest) + ": " + name_of(what)
                         + " was answered with " + hex(code)};
  keep(guest, std::string{name_of(what)} + " was answered, but did not happen",
       [](const possibility& each) { return each.done; });
  revealed(guest, response);
  forget(own);
}

void ledger::cancelled(unsigned guest) {
  auto& own = guests_[guest];
  keep(guest, "a command was given back, but has happened",
       [](const possibility& each) { return !each.done; });
  forget(own);
}

void ledger::abandoned(unsigned guest) {
  forget(guests_[guest]);
}

void ledger::reset_pcrs() {
  for (auto& each : guests_) {
    for (auto& [state, done] : each.possible)
      state.pcr = {};
    forget(each);
  }
}

void ledger::reopened(const std::vector<guest_state>& found,
                      bool kept_volatile) {
  for (auto i = 0u; i < guests_.size(); ++i) {
    if (!kept_volatile)
      for (auto& [state, done] : guests_[i].possible)
        state.pcr = {};
    keep(i, "found " + to_string(found[i]),
         [&](const possibility& each) { return each.state == found[i]; });
  }
}

void ledger::taken_again(unsigned guest, bool exactly_once) {
  auto& own = guests_[guest];
  if (!exactly_once) {
    auto asked = own.asked;
    forget(own);
    own.asked = asked;
  }
  fork(own);
}

} // namespace vtpm::simulation
