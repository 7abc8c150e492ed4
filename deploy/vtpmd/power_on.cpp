#include "deploy/vtpmd/power_on.hpp"

#include <utility>

#include <unistd.h>

#include "protocol/log.hpp"
#include "tpm/libtpms_engine.hpp"

namespace vtpm::deploy {

namespace {

using tpm::shadow_content;
using tpm::shadow_place;

/// What `--shadow` may say beside a path.
constexpr auto* on = "on";
constexpr auto* off = "off";

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::vector<shadow_place> places_for(const options& given,
                                     const tpm::state_store& store,
                                     const tpm::boot_id& boot) {
  const auto id = store.status().id;
  const auto key = store.shadow_key();
  auto places = std::vector<shadow_place>{};
  for (auto& path : shadow_paths(given, id))
    places.push_back({std::move(path), {id, boot}, {key.begin(), key.end()}});
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
  const options& given, const std::vector<shadow_place>& places,
  const shadow_content& content) {
  auto out = std::shared_ptr<tpm::shadow>{};
  for (const auto& place : places) {
    if (out == nullptr && given.shadow != off) {
      auto made = tpm::shadow::make(place, content);
      if (made) {
        log().info("shadow {}", place.path);
        out = *std::move(made);
        continue;
      }
      log().debug("shadow: {}", made.error().detail);
    }
    ::unlink(place.path.c_str());
  }
  if (out == nullptr && given.shadow != off)
    log().warn("no shadow: {} is not in memory or has no room; a crash of "
               "vtpmd will reset the TPM",
               places.front().path);
  return out;
}

/// Goes on from `found`.
tpm::result<running_tpm> go_on(const options& given,
                               const tpm::store_status& status,
                               const shadow_content& found) {
  auto powered = tpm::resume_libtpms(
    status.version, found.state, found.volatile_state, given.physical_presence);
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
tpm::result<running_tpm> start_anew(const options& given,
                                    tpm::state_store& store,
                                    tpm::snapshot_ptr state,
                                    tpm::startup startup, tpm::generation gen) {
  auto powered = tpm::power_on_libtpms(store.status().version, std::move(state),
                                       startup, given.physical_presence);
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
tpm::result<running_tpm> switch_on(const options& given,
                                   tpm::state_store& store,
                                   tpm::snapshot_ptr stored,
                                   tpm::startup startup,
                                   const std::optional<shadow_content>& found) {
  const auto status = store.status();
  if (!found)
    return start_anew(given, store, std::move(stored), startup, status.durable);
  auto out = go_on(given, status, *found);
  if (out)
    return out;
  log().error("the TPM is reset: {}", out.error().detail);
  return start_anew(given, store, found->state, startup, found->gen);
}

} // namespace

std::vector<std::string> shadow_paths(const options& given,
                                      const tpm::uuid& id) {
  if (given.shadow != on && given.shadow != off)
    return {given.shadow};
  const auto name = tpm::to_string(id) + ".shadow";
  return {directory_of(given.control_path) + "/" + name,
          "/dev/shm/vtpmd-" + name};
}

tpm::result<running_tpm> power_on(const options& given, tpm::state_store& store,
                                  tpm::snapshot_ptr stored,
                                  tpm::startup startup,
                                  const tpm::boot_id& boot) {
  const auto status = store.status();
  const auto places = places_for(given, store, boot);
  auto found = std::optional<shadow_content>{};
  if (given.shadow != off) {
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
  auto out = switch_on(given, store, std::move(stored), startup, found);
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
  out->shadow = begin_shadow(given, places_for(given, store, boot), content);
  return out;
}

} // namespace vtpm::deploy
