#include "deploy/vtpmd/foundation.hpp"

#include <utility>

#include "deploy/vtpmd/create_state.hpp"
#include "deploy/vtpmd/shadow_paths.hpp"
#include "protocol/log.hpp"

namespace vtpm::deploy {

namespace {

start_problem problem_of(const tpm::error& reason) {
  return {exit_code_for(reason.code), reason.detail};
}

tpm::result<unit> create(const options& given) {
  const auto made = create_state({{given.state_path, given.key_path},
                                  *given.version,
                                  given.id,
                                  {given.physical_presence, given.pcr_banks},
                                  given.committer});
  if (!made)
    return made.error();
  log().info("created a TPM {}, uuid {}", to_string(*given.version),
             tpm::to_string(*made));
  return unit{};
}

std::vector<std::string> shadow_paths_for(const options& given,
                                          const tpm::uuid& id) {
  if (given.shadow != shadow_on && given.shadow != shadow_off)
    return {given.shadow};
  return shadow_paths(given.control_path, id);
}

power_switch make_switch(const options& given, const tpm::store_status& status,
                         tpm::startup startup, const tpm::boot_id& boot) {
  const auto version = status.version;
  const auto presence = given.physical_presence;
  const auto pool = given.key_pool;
  return {[=](tpm::snapshot_ptr state) {
            return tpm::power_on_libtpms(version, std::move(state), startup,
                                         presence, pool);
          },
          [=](tpm::snapshot_ptr state, byte_view volatile_state) {
            return tpm::resume_libtpms(version, std::move(state),
                                       volatile_state, presence, pool);
          },
          boot, shadow_paths_for(given, status.id), given.shadow != shadow_off};
}

} // namespace

basic_result<foundation, start_problem> lay_foundation(const options& given) {
  if (given.create)
    if (auto made = create(given); !made)
      return problem_of(made.error());
  foundation result;
  auto device = tpm::block_file::open(given.state_path);
  if (!device)
    return problem_of(device.error());
  result.device = std::move(*device);
  auto key = tpm::load_local_key(given.key_path);
  if (!key)
    return problem_of(key.error());
  auto opened = tpm::state_store::open(*result.device, *key, given.version,
                                       given.accept_older);
  if (!opened)
    return problem_of(opened.error());
  log().info("state {}: {}", given.state_path, opened->found);
  result.store = std::move(opened->store);
  const auto status = result.store->status();
  const auto startup = startup_for(given, status.version);
  if (!startup)
    return start_problem{exit_code::usage, startup.error().text};
  result.startup = *startup;
  const auto boot = tpm::this_boot();
  if (!boot)
    return problem_of(boot.error());
  auto running = power_on(make_switch(given, status, *startup, *boot),
                          *result.store, std::move(opened->state));
  if (!running)
    return problem_of(running.error());
  result.tpm = std::move(*running);
  auto committer
    = tpm::make_committer(given.committer, result.device->descriptor());
  if (!committer)
    return problem_of(committer.error());
  result.committer = std::move(*committer);
  log().info("TPM {}, uuid {}, generation {}; commits by {}, {}; key authority "
             "local: an old copy of the state cannot be told from the newest",
             to_string(status.version), tpm::to_string(status.id),
             status.durable, result.committer->name(),
             result.device->direct() ? "O_DIRECT" : "through the page cache");
  return result;
}

} // namespace vtpm::deploy
