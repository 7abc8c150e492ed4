#include "deploy/ctl/ctl_options.hpp"

#include <utility>

#include <CLI/CLI.hpp>

#include "deploy/command_line.hpp"
#include "deploy/ctl/offline_options.hpp"
#include "deploy/parse_text.hpp"
#include "deploy/ring_identity.hpp"
#include "deploy/vtpmd/options.hpp"
#include "protocol/decimal.hpp"

namespace vtpm::deploy {

namespace {

struct request_row {
  control_request request;
  const char* description;
};

constexpr request_row requests[] = {
  {control_request::status, "The TPM, its state and how commits go"},
  {control_request::frontends, "Who is there and what they did"},
  {control_request::stats, "Both, and what every actor did"},
  {control_request::reset, "Reset the TPM as a reset of its platform would"},
  {control_request::keep_next,
   "Keep the TPM over the primary's next new domid: a restore, no boot"},
  {control_request::resume, "Commits have stopped: try again"},
  {control_request::abandon,
   "Commits fail: give up what is not stored and reset the TPM"},
  {control_request::restart,
   "Finish what is under way and have vtpmd started again"},
  {control_request::shutdown, "Finish what is under way, save, exit"},
};

/// The texts of options that CLI11 only stores.
struct option_texts {
  std::string control = default_control_path;
  std::string ring;
  std::string connect;
  identity_options who;
  std::string ring_version;
  bool json = false;
  std::string state;
  std::string key;
  std::string version;
  std::string uuid;
  std::string pcr_banks = "sha1,sha256";
  bool physical_presence = false;
};

void add_route_options(CLI::App& app, option_texts& texts) {
  const auto* group = "Which vtpmd";
  app.add_option("--control", texts.control, "Its --control socket")
    ->type_name("SOCKET")
    ->capture_default_str()
    ->group(group);
  app
    .add_option("--ring", texts.ring,
                "Its Xen domain and the device to ask through, made if need "
                "be; as a frontend that may use locality 8")
    ->type_name("DOMID/HANDLE")
    ->group(group);
  app
    .add_option("--connect", texts.connect,
                "Its --listen socket: the same as a loopback frontend")
    ->type_name("SOCKET")
    ->group(group);
  app
    .add_option("--ring-tpm", texts.ring_version,
                "With --ring or --connect: which TPM it is [try both]")
    ->type_name("1.2|2.0")
    ->group(group);
  add_identity_options(app, texts.who);
  app.add_flag("--json", texts.json, "Print the reply as JSON");
}

void add_create_options(CLI::App& create, option_texts& texts) {
  create
    .add_option("--state", texts.state, "A new file, or an empty block device")
    ->type_name("PATH")
    ->required();
  create.add_option("--tpm", texts.version, "Which TPM to make")
    ->type_name("1.2|2.0")
    ->required();
  create.add_option("--key", texts.key, "A new key file [STATE.key]")
    ->type_name("PATH");
  create.add_option("--uuid", texts.uuid, "The TPM's UUID [random]")
    ->type_name("UUID");
  create
    .add_option("--pcr-banks", texts.pcr_banks, "2.0: PCR banks to allocate")
    ->type_name("BANK,...")
    ->capture_default_str();
  create.add_flag("--physical-presence", texts.physical_presence,
                  "1.2: leave physical presence asserted");
}

result<create_options> convert_create(const option_texts& texts,
                                      bool banks_given) {
  create_options wanted;
  wanted.place.state_path = texts.state;
  wanted.place.key_path = texts.key.empty() ? texts.state + ".key" : texts.key;
  const auto version = parse_tpm_version(texts.version);
  if (!version)
    return problem{"--tpm: " + version.error().text};
  wanted.version = *version;
  if (!texts.uuid.empty()) {
    wanted.id = tpm::parse_uuid(texts.uuid);
    if (!wanted.id)
      return problem{"--uuid: \"" + texts.uuid
                     + "\" is no UUID of 36 characters"};
  }
  auto banks = parse_pcr_banks(texts.pcr_banks);
  if (!banks)
    return problem{"--pcr-banks: " + banks.error().text};
  if (banks_given && *version == tpm_version::v1_2)
    return problem{"--pcr-banks is for TPM 2.0 only: a TPM 1.2 has SHA-1 PCRs"};
  if (texts.physical_presence && *version == tpm_version::v2_0)
    return problem{"--physical-presence is for TPM 1.2 only"};
  wanted.factory.pcr_banks = std::move(*banks);
  wanted.factory.physical_presence = texts.physical_presence;
  return wanted;
}

/// Reads "DOMID/HANDLE".
result<xen_ring> parse_xen_ring(const std::string& text) {
  const auto slash = text.find('/');
  const auto domain
    = protocol::parse_decimal<xenio::domid>(text.substr(0, slash));
  const auto handle = protocol::parse_decimal<std::uint32_t>(
    slash == text.npos ? "" : text.substr(slash + 1));
  if (!domain || !handle)
    return problem{"--ring: \"" + text
                   + "\" is not DOMID/HANDLE, such as 5/0; a loopback socket "
                     "goes with --connect"};
  return xen_ring{*domain, *handle};
}

/// Returns the ring that was asked for.
result<ring_route> ring_of(const option_texts& texts) {
  ring_route route;
  if (texts.connect.empty()) {
    const auto ring = parse_xen_ring(texts.ring);
    if (!ring)
      return ring.error();
    route.ring = *ring;
  } else {
    auto who = identity_of(texts.who);
    if (!who)
      return who.error();
    route.ring = loopback_ring{texts.connect, std::move(*who)};
  }
  if (!texts.ring_version.empty()) {
    const auto version = parse_tpm_version(texts.ring_version);
    if (!version)
      return problem{"--ring-tpm: " + version.error().text};
    route.version = *version;
  }
  return route;
}

result<ask_command> convert_ask(control_request request, const CLI::App& app,
                                const option_texts& texts) {
  const auto given
    = app.count("--control") + app.count("--ring") + app.count("--connect");
  if (given > 1)
    return problem{"give one of --control, --ring and --connect"};
  if (texts.connect.empty())
    for (const auto* option : {"--domid", "--handle", "--uuid"})
      if (app.count(option) > 0)
        return problem{std::string{option} + " goes with --connect"};
  if (texts.ring.empty() && texts.connect.empty()) {
    if (app.count("--ring-tpm") > 0)
      return problem{"--ring-tpm goes with --ring or --connect"};
    return ask_command{request, socket_route{texts.control}, texts.json};
  }
  if (!allowed_on_ring(request))
    return problem{std::string{to_string(request)}
                   + " is not possible through a ring: use --control"};
  auto route = ring_of(texts);
  if (!route)
    return route.error();
  return ask_command{request, std::move(*route), texts.json};
}

/// Returns the request whose subcommand was given.
/// @pre One of them was.
control_request request_of(const CLI::App& app) {
  const auto name = app.get_subcommands().front()->get_name();
  const auto request = parse_control_request_name(name);
  return *request;
}

} // namespace

std::variant<ctl_command, early_exit> parse_ctl_options(
  int argc, const char* const* argv) {
  CLI::App app{
    "Asks a running vtpmd; makes, looks at and carries TPMs without one.",
    "vtpmctl"};
  option_texts texts;
  prepare(app);
  add_route_options(app, texts);
  app.require_subcommand(0, 1);
  for (const auto& row : requests)
    app.add_subcommand(to_string(row.request), row.description)->fallthrough();
  auto* create = app.add_subcommand(
    "create", "Make a TPM that is ready to use; needs no vtpmd");
  add_create_options(*create, texts);
  const offline_subcommands offline{app};
  app.footer("Examples:\n"
             "  vtpmctl create --state ./tpm --tpm 2.0\n"
             "  vtpmctl --control ./control stats --json\n"
             "  vtpmctl inspect ./tpm\n"
             "  vtpmctl --ring 5/0 stats\n"
             "\n"
             "The manual page vtpmctl(8) says more.\n");
  if (auto exit = parse(app, argc, argv))
    return std::move(*exit);
  // Checked here and not by CLI11, which would not say that one is misspelt.
  if (app.get_subcommands().empty())
    return usage_error(app, {"say what to do: give a subcommand"});
  if (create->parsed()) {
    auto wanted = convert_create(texts, create->count("--pcr-banks") > 0);
    if (!wanted)
      return usage_error(app, wanted.error());
    return ctl_command{std::move(*wanted)};
  }
  if (auto wanted = offline.given()) {
    if (!*wanted)
      return usage_error(app, wanted->error());
    return std::visit(
      [](auto& command) { return ctl_command{std::move(command)}; }, **wanted);
  }
  auto question = convert_ask(request_of(app), app, texts);
  if (!question)
    return usage_error(app, question.error());
  return ctl_command{std::move(*question)};
}

} // namespace vtpm::deploy
