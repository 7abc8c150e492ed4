#include "actors/primary.hpp"

#include <utility>

#include <caf/event_based_actor.hpp>

#include "actors/connection.hpp"
#include "actors/discovery.hpp"

namespace vtpm::actors {

namespace {

/// Tells whoever stores it what changed.
void remember(supervisor_state& state) {
  if (state.parts.remember)
    state.parts.remember(state.machine.memory());
}

/// The reset is durable: the frontends that waited for it are connected.
void reset_done(supervisor_self self, const frontend_identity& who,
                xenio::domid before) {
  auto& state = self->state;
  ++state.boot_resets;
  note(self, spdlog::level::info, {who.domain, who.handle},
       "the primary has booted, it was domain " + std::to_string(before)
         + ": TPM reset");
  admit(self, who);
  for (const auto& id : std::exchange(state.awaiting_reset, {}))
    if (const auto entry = state.devices.find(id); entry != state.devices.end())
      examine(self, id, entry->second);
}

/// PCRs of another boot are worse than no TPM.
void reset_failed(supervisor_self self, const caf::error& reason) {
  auto& state = self->state;
  const auto waiting = std::exchange(state.awaiting_reset, {});
  if (state.draining)
    return; // our successor finds them as they are
  for (const auto& id : waiting)
    if (const auto entry = state.devices.find(id);
        entry != state.devices.end() && entry->second.offer)
      refuse(self, id, entry->second,
             "its guest has booted and the TPM was not reset: "
               + explain(reason));
}

} // namespace

bool reset_first(supervisor_self self, const frontend_identity& who) {
  auto& state = self->state;
  if (state.machine.judge(who) != arrival::rebooted)
    return false;
  const auto before = *state.machine.memory().primary_domain;
  const auto under_way = !state.awaiting_reset.empty();
  state.awaiting_reset.insert({who.domain, who.handle});
  if (!under_way)
    self
      ->request(state.parts.tpm, caf::infinite, reset_atom_v,
                startup_at_boot(state.parts.startup))
      .then([self, who, before](done_atom) { reset_done(self, who, before); },
            [self](const caf::error& reason) { reset_failed(self, reason); });
  return true;
}

void admit(supervisor_self self, const frontend_identity& who) {
  if (self->state.machine.admit(who))
    remember(self->state);
}

void keep_next(supervisor_self self) {
  if (!self->state.machine.keep_next())
    return;
  log().info("the next new domid of the primary is announced to be no boot: "
             "the TPM will be kept");
  remember(self->state);
}

platform_report report_platform(const supervisor_state& state) {
  const auto& memory = state.machine.memory();
  return {state.machine.describe(), memory.primary_domain, memory.keep_next,
          state.boot_resets};
}

} // namespace vtpm::actors
