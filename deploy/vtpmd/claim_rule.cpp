#include "deploy/vtpmd/claim_rule.hpp"

#include <string>

#include "deploy/parse_text.hpp"
#include "tpm/state_store.hpp"

namespace vtpm::deploy {

namespace {

using xenio::loopback::claim_rule;

/// The number behind uid_t -1, which system calls take for "no user".
constexpr auto no_uid = static_cast<uid_t>(-1);

template <class T>
bool read_number(std::string_view text, std::optional<T>& target) {
  target = parse_number<T>(text);
  return target.has_value();
}

/// Reads one exact value. Returns whether key and value make sense.
bool read_field(std::string_view key, std::string_view value,
                std::optional<uid_t>& uid, claim_rule& rule) {
  if (key == "uid")
    return read_number(value, uid) && *uid != no_uid;
  if (key == "domid")
    return value == "*" || read_number(value, rule.domain);
  if (key == "handle")
    return value == "*" || read_number(value, rule.handle);
  if (key != "uuid")
    return false;
  if (value == "*")
    return true;
  const auto id = tpm::parse_uuid(value);
  if (id)
    rule.uuid = tpm::to_string(*id);
  return id.has_value();
}

} // namespace

result<claim_rule> parse_claim_rule(std::string_view text) {
  claim_rule rule{};
  std::optional<uid_t> uid;
  std::vector<std::string_view> seen;
  const auto refused = [text](const std::string& why) {
    return problem{"\"" + std::string{text} + "\" is no claim rule: " + why
                   + "; write uid=NUMBER,domid=N,handle=N,uuid=UUID, where all "
                     "but uid may be * or left out"};
  };
  for (const auto field : split(text, ',')) {
    const auto equals = field.find('=');
    if (equals == std::string_view::npos)
      return refused("\"" + std::string{field} + "\" has no value");
    const auto key = field.substr(0, equals);
    for (const auto earlier : seen)
      if (earlier == key)
        return refused(std::string{key} + " is given twice");
    seen.push_back(key);
    if (!read_field(key, field.substr(equals + 1), uid, rule))
      return refused("\"" + std::string{field} + "\" makes no sense");
  }
  if (!uid)
    return refused("uid is missing");
  rule.uid = *uid;
  return rule;
}

} // namespace vtpm::deploy
