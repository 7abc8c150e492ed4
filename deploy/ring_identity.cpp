#include "deploy/ring_identity.hpp"

#include "tpm/state_store.hpp"

namespace vtpm::deploy {

void add_identity_options(CLI::App& app, identity_options& target) {
  const auto* group = "Which frontend";
  app.add_option("--domid", target.domain, "Domain number")
    ->type_name("N")
    ->capture_default_str()
    ->group(group);
  app.add_option("--handle", target.handle, "Device handle")
    ->type_name("N")
    ->capture_default_str()
    ->group(group);
  app.add_option("--uuid", target.uuid, "The frontend's UUID")
    ->type_name("UUID")
    ->capture_default_str()
    ->group(group);
}

result<xenio::loopback::identity> identity_of(const identity_options& given) {
  const auto id = tpm::parse_uuid(given.uuid);
  if (!id)
    return problem{"--uuid: \"" + given.uuid
                   + "\" is no UUID of 36 characters"};
  return xenio::loopback::identity{given.domain, given.handle,
                                   tpm::to_string(*id)};
}

} // namespace vtpm::deploy
