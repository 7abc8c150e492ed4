#include "actors/platform.hpp"

#include <algorithm>
#include <utility>

#include "actors/rule_text.hpp"
#include "protocol/decimal.hpp"
#include "tpm/state_store.hpp"

namespace vtpm::actors {

namespace {

bool names_somebody(const std::string& uuid) {
  static const auto nil = tpm::to_string(tpm::uuid{});
  return !uuid.empty() && uuid != nil;
}

/// Which fields a rule has named so far.
struct seen_fields {
  bool handle = false;
  bool uuid = false;
  bool on_new_domid = false;
};

std::string read_handle(std::string_view value, primary_rule& rule) {
  rule.handle = protocol::parse_decimal<std::uint32_t>(value);
  return rule.handle ? "" : "handle= needs a number of 0..4294967295";
}

std::string read_uuid(std::string_view value, primary_rule& rule) {
  auto uuid = canonical_uuid(value);
  if (!names_somebody(uuid))
    return "uuid= needs 8-4-4-4-12 hexadecimal digits, not all of them 0";
  rule.uuid = std::move(uuid);
  return {};
}

std::string read_on_new_domid(std::string_view value, primary_rule& rule) {
  rule.keep = value == "keep";
  return rule.keep || value == "reset" ? ""
                                       : "on-new-domid= needs reset or keep";
}

/// Reads "NAME=VALUE" into `rule`. Returns what is wrong, or "".
std::string read_field(std::string_view field, seen_fields& seen,
                       primary_rule& rule) {
  auto value = field;
  const auto name = cut(value, '=');
  const auto once = [&](bool& flag, auto read) -> std::string {
    if (std::exchange(flag, true))
      return std::string{name} + "= is given twice";
    return read(value, rule);
  };
  if (name == "handle")
    return once(seen.handle, read_handle);
  if (name == "uuid")
    return once(seen.uuid, read_uuid);
  if (name == "on-new-domid")
    return once(seen.on_new_domid, read_on_new_domid);
  return "a rule is made of uuid=, handle= and on-new-domid=";
}

} // namespace

std::optional<primary_rule> primary_rule::parse(std::string_view text,
                                                std::string& problem) {
  primary_rule rule;
  seen_fields seen;
  problem = read_list(text, [&](std::string_view field) {
    return read_field(field, seen, rule);
  });
  if (!problem.empty())
    return std::nullopt;
  if (!rule.handle && !rule.uuid) {
    problem = "it names no frontend: give uuid= or handle=";
    return std::nullopt;
  }
  return rule;
}

bool platform::is_primary(const frontend_identity& who) const {
  if (rule_)
    return (!rule_->handle || *rule_->handle == who.handle)
      && (!rule_->uuid || *rule_->uuid == who.uuid);
  const auto& uuids = memory_.uuids;
  return names_somebody(who.uuid)
    && (uuids.empty() || (uuids.size() == 1 && uuids.front() == who.uuid));
}

arrival platform::judge(const frontend_identity& who) const {
  if (!is_primary(who))
    return arrival::peer;
  if (!memory_.primary_domain)
    return arrival::first;
  if (*memory_.primary_domain == who.domain)
    return arrival::again;
  const auto keep = memory_.keep_next || (rule_ && rule_->keep);
  return keep ? arrival::kept : arrival::rebooted;
}

bool platform::admit(const frontend_identity& who) {
  const auto before = memory_;
  if (is_primary(who) && memory_.primary_domain != who.domain) {
    memory_.primary_domain = who.domain;
    memory_.keep_next = false;
  }
  auto& uuids = memory_.uuids;
  if (names_somebody(who.uuid) && uuids.size() < platform_memory::uuids_max
      && std::find(uuids.begin(), uuids.end(), who.uuid) == uuids.end())
    uuids.push_back(who.uuid);
  return memory_ != before;
}

bool platform::keep_next() {
  return !std::exchange(memory_.keep_next, true);
}

std::string platform::describe() const {
  if (!rule_)
    return memory_.uuids.size() == 1 ? "uuid=" + memory_.uuids.front() : "";
  std::string text;
  if (rule_->uuid)
    text += "uuid=" + *rule_->uuid + ",";
  if (rule_->handle)
    text += "handle=" + std::to_string(*rule_->handle) + ",";
  return text + "on-new-domid=" + (rule_->keep ? "keep" : "reset");
}

std::string canonical_uuid(std::string_view text) {
  const auto id = tpm::parse_uuid(text);
  return id ? tpm::to_string(*id) : std::string{};
}

tpm::startup startup_at_boot(tpm::startup configured) noexcept {
  return configured == tpm::startup::state ? tpm::startup::clear : configured;
}

} // namespace vtpm::actors
