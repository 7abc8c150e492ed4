#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include <nlohmann/json.hpp>

#include "deploy/bench/server.hpp"
#include "deploy/ctl/ask.hpp"
#include "deploy/vtpmd/control_request.hpp"
#include "tpm/slot_format.hpp"
#include "xenio/loopback/frontend.hpp"

namespace vtpm::deploy {

vtpmd_server::vtpmd_server(std::string program, tpm_version version,
                           std::string directory, std::optional<unsigned> cpu,
                           std::vector<std::string> extra)
  : server(std::move(directory), cpu),
    program_(std::move(program)),
    version_(version),
    extra_(std::move(extra)) {
  // nop
}

vtpmd_server::~vtpmd_server() {
  vtpmd_server::stop();
}

std::vector<std::string> vtpmd_server::arguments() const {
  std::vector<std::string> list
    = {program_,     "--state",     path("state"),   "--listen",
       path("ring"), "--control",   path("control"), "--startup",
       "clear",      "--log-level", "warn"};
  if (version_ == tpm_version::v1_2)
    list.push_back("--physical-presence");
  const auto is_about_shadow = [](const std::string& argument) {
    return argument.starts_with("--shadow");
  };
  if (std::ranges::none_of(extra_, is_about_shadow))
    list.insert(list.end(), {"--shadow", shadow_path()});
  if (!is_created_)
    list.insert(list.end(), {"--create", "--tpm", to_string(version_)});
  list.insert(list.end(), extra_.begin(), extra_.end());
  return list;
}

/// In memory, whatever disk the state is on.
std::string vtpmd_server::shadow_path() const {
  auto name = path("shadow");
  std::ranges::replace(name, '/', '-');
  return "/dev/shm/vtpm-bench" + name;
}

result<unit> vtpmd_server::add_ring() {
  xenio::loopback::identity who;
  who.handle = static_cast<std::uint32_t>(rings_.size());
  auto ring = xenio::loopback::connect(path("ring"), who, server_patience);
  if (!ring)
    return problem{ring.error().detail};
  rings_.push_back(std::move(*ring));
  return unit{};
}

result<transactor> vtpmd_server::connect() {
  if (auto added = add_ring(); !added)
    return added.error();
  is_created_ = true;
  constexpr std::uint8_t locality = 0;
  return make_transactor(*rings_.front(), locality, server_patience);
}

void vtpmd_server::stop() {
  rings_.clear();
  server::stop();
  std::error_code ignored;
  std::filesystem::remove(shadow_path(), ignored);
}

result<std::vector<xenio::frontend*>> vtpmd_server::rings(std::size_t count) {
  while (rings_.size() < count)
    if (auto added = add_ring(); !added)
      return added.error();
  std::vector<xenio::frontend*> some;
  for (std::size_t i = 0; i < count; ++i)
    some.push_back(rings_[i].get());
  return some;
}

result<vtpmd_server::commits> vtpmd_server::count_commits() const {
  const auto reply = ask_socket(
    path("control"), encode_control_request(control_request::status));
  if (!reply)
    return problem{reply.error().text};
  const auto body = parse_control_reply(*reply);
  if (!body)
    return body.error();
  const auto at = [&body](const char* name) {
    const auto place = nlohmann::json::json_pointer{name};
    return body->value(place, 0.0);
  };
  return commits{at("/commits/commits"), at("/commits/changes")};
}

result<std::size_t> vtpmd_server::commit_size() const {
  std::ifstream file{path("state"), std::ios::binary};
  const std::string text{std::istreambuf_iterator<char>{file}, {}};
  if (text.size() < 2 * tpm::slot_size)
    return problem{"cannot read " + path("state")};
  const auto octets = byte_view{
    reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
  auto newest = tpm::slot_header{};
  for (auto slot = 0u; slot < 2; ++slot) {
    const auto scan = tpm::scan_slot(
      slot, octets.subspan(slot * tpm::slot_size, tpm::slot_size));
    if (scan.header && scan.header->image.gen > newest.image.gen)
      newest = *scan.header;
  }
  if (newest.image.count == 0)
    return problem{"no slot of " + path("state") + " is whole"};
  return newest.image.count * tpm::sector_size;
}

} // namespace vtpm::deploy
