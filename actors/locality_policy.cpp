#include "actors/locality_policy.hpp"

#include <utility>

#include "actors/rule_text.hpp"
#include "protocol/decimal.hpp"
#include "tpm/state_store.hpp"

namespace vtpm::actors {

namespace {

/// Reads a UUID in either case and returns it in lower case.
std::optional<std::string> uuid(std::string_view text) {
  const auto id = tpm::parse_uuid(text);
  if (!id)
    return std::nullopt;
  return tpm::to_string(*id);
}

/// Which fields a rule has named so far.
struct seen_fields {
  bool domain = false;
  bool handle = false;
  bool uuid = false;
};

/// Reads one value, exact or "*", into `target`. Returns what is wrong, or "".
template <class T, class Read>
std::string read_value(std::string_view name, std::string_view text,
                       std::string_view form, bool& seen,
                       std::optional<T>& target, Read read) {
  if (seen)
    return std::string{name} + " is given twice";
  seen = true;
  if (text == "*")
    return {};
  target = read(text);
  if (target)
    return {};
  return std::string{name} + " " + quoted(text) + " is not " + std::string{form}
  + " or *";
}

/// Reads "NAME=VALUE" into `rule`. Returns what is wrong, or "".
std::string read_field(std::string_view field, seen_fields& seen,
                       locality_rule& rule) {
  if (field.find('=') == std::string_view::npos)
    return quoted(field) + " is not domid=, handle= or uuid=";
  auto value = field;
  const auto name = cut(value, '=');
  if (name == "domid")
    return read_value(name, value, "a number of 0..65535", seen.domain,
                      rule.domain, protocol::parse_decimal<xenio::domid>);
  if (name == "handle")
    return read_value(name, value, "a number of 0..4294967295", seen.handle,
                      rule.handle, protocol::parse_decimal<std::uint32_t>);
  if (name == "uuid")
    return read_value(name, value, "8-4-4-4-12 hexadecimal digits", seen.uuid,
                      rule.uuid, uuid);
  if (name == "label")
    return "label= cannot be matched: no label from this hypervisor";
  return quoted(field) + " is not domid=, handle= or uuid=";
}

/// Reads one locality into `allowed`. Returns what is wrong, or "".
std::string read_locality(std::string_view text, locality_set& allowed) {
  const auto value = protocol::parse_decimal<std::uint8_t>(text);
  const auto name
    = "locality " + (value ? std::to_string(*value) : quoted(text));
  if (!value || (*value > 4 && *value != 8))
    return name + " is not one of 0..4, 8";
  if (allowed.contains(*value))
    return name + " is given twice";
  allowed.insert(*value);
  return {};
}

} // namespace

std::optional<locality_rule> locality_rule::parse(std::string_view text,
                                                  std::string& problem) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) {
    problem = quoted(text) + " has no colon before its localities";
    return std::nullopt;
  }
  locality_rule rule;
  seen_fields seen;
  auto wrong = read_list(text.substr(0, colon), [&](std::string_view field) {
    return read_field(field, seen, rule);
  });
  if (wrong.empty())
    wrong = read_list(text.substr(colon + 1), [&](std::string_view locality) {
      return read_locality(locality, rule.allowed);
    });
  if (!wrong.empty()) {
    problem = std::move(wrong);
    return std::nullopt;
  }
  return rule;
}

locality_set allowed_localities(const std::vector<locality_rule>& rules,
                                const frontend_identity& who) {
  locality_set result;
  result.insert(0);
  for (const auto& rule : rules) {
    if ((rule.domain && *rule.domain != who.domain)
        || (rule.handle && *rule.handle != who.handle)
        || (rule.uuid && *rule.uuid != who.uuid))
      continue;
    result.insert(rule.allowed);
  }
  return result;
}

} // namespace vtpm::actors
