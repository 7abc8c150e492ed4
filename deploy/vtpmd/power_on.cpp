#include "deploy/vtpmd/power_on.hpp"

#include <utility>

#include "protocol/log.hpp"

namespace vtpm::deploy {

namespace {

using tpm::shadow_content;
using tpm::shadow_place;

std::vector<shadow_place> places_for(const power_switch& how,
                                     const tpm::state_store& store) {
  const auto id = store.status().id;
  const auto key = store.shadow_key();
  auto places = std::vector<shadow_place>{};
  for (const auto& path : how.shadow_paths)
    places.push_back({path, {id, how.boot}, {key.begin(), key.end()}});
  return places;
}

/// Finds the newest that a predecessor left.
tpm::result<std::optional<shadow_content>> load_newest(
  const std::vector<shadow_place>& places) {
  auto newest = std::optional<shadow_content>{};
  for (const auto& place : places) {
    auto found = tpm::shadow::load(place);
    if (!found && found.error().code == tpm::errc::locked)
      return found.error();
    if (!found)
      log().warn("shadow: {}", found.error().detail);
    else if (*found && (!newest || newest->gen < (*found)->gen))
      newest = *std::move(*found);
  }
  return newest;
}

/// Begins the shadow in the best place that will do, and clears the others.
std::shared_ptr<tpm::shadow> begin_shadow(
  const power_switch& how, const std::vector<shadow_place>& places,
  const shadow_content& content) {
  auto out = std::shared_ptr<tpm::shadow>{};
  auto problem = std::string{};
  for (const auto& place : places) {
    if (out == nullptr && how.has_shadow) {
      auto made = tpm::shadow::make(place, content);
      if (made) {
        log().info("shadow {}", place.path);
        out = *std::move(made);
        continue;
      }
      problem = made.error().detail;
      log().debug("shadow: {}", problem);
    }
    tpm::shadow::clear(place.path);
  }
  if (out == nullptr && how.has_shadow)
    log().warn("no shadow: {}; a crash of vtpmd will reset the TPM", problem);
  return out;
}

/// Goes on from `found`.
tpm::result<running_tpm> go_on(const power_switch& how,
                               const tpm::store_status& status,
                               const shadow_content& found) {
  auto powered = how.resume(found.state, found.volatile_state);
  if (!powered)
    return powered.error();
  log().info("the TPM goes on where it was, generation {}", found.gen);
  auto out = running_tpm{};
  out.engine = std::move(powered->instance);
  out.gen = found.gen;
  out.changed = found.gen > status.durable ? out.engine->current()
                                           : std::move(powered->changed);
  out.platform = found.platform;
  return out;
}

/// Switches on a TPM that was off.
tpm::result<running_tpm> start_anew(const power_switch& how,
                                    tpm::state_store& store,
                                    tpm::snapshot_ptr state,
                                    tpm::generation gen) {
  auto powered = how.power_on(std::move(state));
  if (!powered)
    return powered.error();
  store.renew_shadow_key();
  auto out = running_tpm{};
  out.engine = std::move(powered->instance);
  out.gen = gen;
  out.changed = out.engine->current();
  return out;
}

/// Goes on from `found` if that can be, else resets the TPM, with the newest
/// state that there is.
tpm::result<running_tpm> switch_on(const power_switch& how,
                                   tpm::state_store& store,
                                   tpm::snapshot_ptr stored,
                                   const std::optional<shadow_content>& found) {
  const auto status = store.status();
  if (!found)
    return start_anew(how, store, std::move(stored), status.durable);
  auto out = go_on(how, status, *found);
  if (out)
    return out;
  log().error("the TPM is reset: {}", out.error().detail);
  return start_anew(how, store, found->state, found->gen);
}

} // namespace

tpm::result<running_tpm> power_on(const power_switch& how,
                                  tpm::state_store& store,
                                  tpm::snapshot_ptr stored) {
  const auto status = store.status();
  const auto places = places_for(how, store);
  auto found = std::optional<shadow_content>{};
  if (how.has_shadow) {
    auto newest = load_newest(places);
    if (!newest)
      return newest.error();
    found = *std::move(newest);
  }
  if (found && found->gen < status.durable) {
    log().warn("the shadow is of generation {}, older than what is stored: the "
               "TPM is reset",
               found->gen);
    found.reset();
  }
  auto out = switch_on(how, store, std::move(stored), found);
  if (!out)
    return out;
  auto octets = out->engine->volatile_state();
  if (!octets)
    return octets.error();
  auto content = shadow_content{};
  content.gen = out->gen + (out->changed == nullptr ? 0 : 1);
  content.state = out->engine->current();
  content.volatile_state = *std::move(octets);
  content.platform = out->platform;
  if (found)
    content.answers = std::move(found->answers);
  // Its key may be new by now.
  out->shadow = begin_shadow(how, places_for(how, store), content);
  return out;
}

} // namespace vtpm::deploy
